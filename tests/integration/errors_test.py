"""Bad input gives one clear line, the right exit status, and leaves nothing behind."""
import json
import os

import pytest
from pair_files import write_rows
from run_configs import write_config, write_json


@pytest.fixture
def config(directory, tiny_model):
    return write_config(directory / "run.yaml", directory / "run", tiny_model)


def expect_one_line(program, arguments, contains, status=2, ranks=1):
    done = program.run(*arguments, ranks=ranks, expect=status)
    lines = [line for line in done.stderr.splitlines() if line.startswith("popalign: ")]
    assert len(lines) == 1 and contains in lines[0], lines


def require_nothing_half_written(directory):
    assert not [path for path in directory.rglob("*") if "partial" in path.name or "unfinished" in path.name]


def long_rows(directory):
    return write_rows(directory / "rows.jsonl", [{"prompt": "a", "completion": " word" * 1500}] * 10)


@pytest.mark.parametrize("ranks", (1, 2))
def test_an_unknown_key(program, config, ranks):
    expect_one_line(program, ["synthesize", "--config", config, "--set", "train.bta=1"], "unknown key 'train.bta'",
                    ranks=ranks)


@pytest.mark.parametrize("ranks", (1, 2))
def test_a_model_that_is_not_there(program, config, ranks):
    expect_one_line(program, ["synthesize", "--config", config, "--set", "models.teacher.path=/nonexistent/model"],
                    "no such model", ranks=ranks)


@pytest.mark.parametrize("ranks", (1, 2))
def test_an_unknown_command(program, ranks):
    expect_one_line(program, ["synthesise"], "command line", ranks=ranks)


def test_a_key_is_named_with_file_and_line(program, directory):
    wrong = directory / "wrong.yaml"
    wrong.write_text("run: {name: x}\ntrain:\n  betta: 1\n")
    expect_one_line(program, ["train", "--config", wrong], f"{wrong}:3: unknown key 'train.betta'")


def test_a_gguf_file_that_ends_early(program, directory, model):
    data, cut = model.read_bytes(), directory / "cut.gguf"
    for size in (100, 1_000_000, len(data) - 1):
        cut.write_bytes(data[:size])
        expect_one_line(program, ["inspect", cut], "truncated GGUF")


def test_a_safetensors_file_that_ends_early(program, directory):
    folder = directory / "hf"
    folder.mkdir()
    write_json(folder / "config.json", {
        "model_type": "llama", "vocab_size": 64, "hidden_size": 8, "intermediate_size": 16,
        "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1})
    header = json.dumps({"model.embed_tokens.weight": {
        "dtype": "F32", "shape": [64, 8], "data_offsets": [0, 2048]}}).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(1000))
    write_json(folder / "tokenizer.json", {
        "version": "1.0", "added_tokens": [], "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True},
        "decoder": {"type": "ByteLevel"}, "post_processor": None,
        "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}})
    expect_one_line(program, ["score", "--model", folder, "--input", long_rows(directory), "--output",
                              directory / "never.jsonl"], "truncated safetensors")
    assert not (directory / "never.jsonl").exists()
    require_nothing_half_written(directory)


@pytest.mark.parametrize("text, complaint", [('{"id": "1", "instruction": "one"}\n{"id": "2", "instruction": \n', ":2: not JSON"),
                                             ("\n", "holds no instruction")])
def test_instructions_that_are_none(program, directory, config, text, complaint):
    lines = directory / "lines.jsonl"
    lines.write_text(text)
    expect_one_line(program, ["synthesize", "--config", config, "--set", f"instructions.path={lines}"], complaint, ranks=2)
    require_nothing_half_written(directory)


def test_a_pair_file_that_is_not_there(program, config):
    expect_one_line(program, ["judge", "--config", config], "no such pair file", ranks=2)


def test_a_pair_file_that_is_none(program, directory):
    (directory / "not.h5").write_text("text")
    expect_one_line(program, ["inspect", directory / "not.h5"], "not an HDF5 file")


def test_a_printed_config_reads_back_the_same(program, directory, config):
    printed = program.run("train", "--config", config, "--print-config").stdout
    again = directory / "printed.yaml"
    again.write_text(printed)
    assert program.run("train", "--config", again, "--print-config").stdout == printed


@pytest.mark.parametrize("ranks", (1, 2))
def test_a_full_disk_leaves_no_half_written_output(program, directory, tiny_model, small_disk, ranks):
    disk = small_disk("24k").path
    expect_one_line(program, ["score", "--model", tiny_model, "--input", long_rows(directory), "--output",
                              disk / "out.jsonl"], "No space left", status=1, ranks=ranks)
    assert not os.listdir(disk)


def test_a_full_disk_leaves_no_half_written_pair_file(program, directory, tiny_model, small_disk):
    disk = small_disk("24k").path
    config = write_config(directory / "full.yaml", disk / "run", tiny_model, instructions={"limit": 1, "held_out": 0},
                          synthesis={"max_new_tokens": 2, "max_thought_tokens": 0, "max_input_tokens": 8192})
    expect_one_line(program, ["synthesize", "--config", config], "No space left", status=1, ranks=2)
    assert not list(disk.rglob("*.h5*"))
