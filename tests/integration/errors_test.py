"""What goes wrong with input gives one clear line, the right exit status, and leaves nothing behind."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from harness import check, require_models, run, write_config


def one_line(program, arguments, expect, contains, ranks=1, **options):
    done = run(program, *arguments, ranks=ranks, expect=expect, **options)
    lines = [line for line in done.stderr.splitlines() if line.startswith("popalign: ")]
    check(len(lines) == 1 and contains in lines[0], f"{contains!r} on {ranks} ranks: {lines}")


def tiny_safetensors(folder, model, program):
    """An HF directory whose weights stop in the middle."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({
        "model_type": "llama", "vocab_size": 64, "hidden_size": 8, "intermediate_size": 16,
        "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1}))
    header = json.dumps({"model.embed_tokens.weight": {
        "dtype": "F32", "shape": [64, 8], "data_offsets": [0, 2048]}}).encode()
    (folder / "model.safetensors").write_bytes(
        len(header).to_bytes(8, "little") + header + bytes(1000))
    (folder / "tokenizer.json").write_text(json.dumps({
        "version": "1.0", "added_tokens": [], "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True},
        "decoder": {"type": "ByteLevel"}, "post_processor": None,
        "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}))
    return folder


def full_disk(program, work, model):
    """A small file system of our own, if we may mount one."""
    disk = work / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24k", "tmpfs", disk],
                      capture_output=True).returncode != 0:
        print("not tried: no small file system may be mounted here (a full disk)")
        return
    try:
        prompts = work / "prompts.jsonl"
        prompts.write_text("".join(json.dumps({"prompt": "word " * 2000}) + "\n" for _ in range(8)))
        for ranks in (1, 2):
            one_line(program, ["score", "--model", model, "--input", rows(work), "--output",
                               disk / "out.jsonl"], 1, "No space left", ranks=ranks)
            check(not os.listdir(disk), "a full disk leaves no half-written output")
        config = write_config(work / "full.yaml", disk / "run", model,
                              instructions={"limit": 1, "held_out": 0},
                              synthesis={"max_new_tokens": 2, "max_thought_tokens": 0})
        one_line(program, ["synthesize", "--config", config], 1, "No space left", ranks=2)
        left = [p for p in disk.rglob("*.h5*")]
        check(not left, f"no half-written pair file: {left}")
    finally:
        subprocess.run(["umount", disk], check=True)


def rows(work):
    path = work / "rows.jsonl"
    path.write_text("".join(json.dumps({"prompt": "a", "completion": " word" * 1500}) + "\n"
                            for _ in range(10)))
    return path


def main():
    program, model = sys.argv[1], require_models(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        config = write_config(work / "run.yaml", work / "run", model)
        for ranks in (1, 2):
            one_line(program, ["synthesize", "--config", config, "--set", "train.bta=1"], 2,
                     "unknown key 'train.bta'", ranks=ranks)
            one_line(program, ["synthesize", "--config", config, "--set",
                               "models.teacher.path=/nonexistent/model"], 2, "no such model",
                     ranks=ranks)
            one_line(program, ["synthesise"], 2, "command line", ranks=ranks)
        wrong = work / "wrong.yaml"
        wrong.write_text("run: {name: x}\ntrain:\n  betta: 1\n")
        one_line(program, ["train", "--config", wrong], 2, f"{wrong}:3: unknown key 'train.betta'")

        cut = work / "cut.gguf"
        data = model.read_bytes()
        for size in (100, 1_000_000, len(data) - 1):
            cut.write_bytes(data[:size])
            one_line(program, ["inspect", cut], 2, "truncated GGUF")
        broken = tiny_safetensors(work / "hf", model, program)
        one_line(program, ["score", "--model", broken, "--input", rows(work), "--output",
                           work / "never.jsonl"], 2, "truncated safetensors")

        lines = work / "lines.jsonl"
        lines.write_text('{"id": "1", "instruction": "one"}\n{"id": "2", "instruction": \n')
        one_line(program, ["synthesize", "--config", config, "--set", f"instructions.path={lines}"],
                 2, f"{lines}:2: not JSON", ranks=2)
        lines.write_text("\n")
        one_line(program, ["synthesize", "--config", config, "--set", f"instructions.path={lines}"],
                 2, "holds no instruction", ranks=2)
        one_line(program, ["judge", "--config", config], 2, "no such pair file", ranks=2)
        (work / "not.h5").write_text("text")
        one_line(program, ["inspect", work / "not.h5"], 2, "not an HDF5 file")
        left = sorted(path.name for path in work.rglob("*") if "partial" in path.name)
        check(not left and not (work / "never.jsonl").exists(), f"nothing half-written: {left}")

        printed = run(program, "train", "--config", config, "--print-config").stdout
        again = work / "printed.yaml"
        again.write_text(printed)
        check(run(program, "train", "--config", again, "--print-config").stdout == printed,
              "the printed config reads back the same")
        full_disk(program, work, model)
    return 0


if __name__ == "__main__":
    sys.exit(main())
