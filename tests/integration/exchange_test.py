"""Preference data of other programs: import on any number of ranks, export, training on a mix, real files."""
import gzip
import json
import sys

import pytest
from pair_files import dataset_contents, differing, read_json, read_rows, write_rows
from program import execute
from run_configs import write_config

ROWS = [{"id": str(i), "prompt": f"Question {i}?", "chosen": f"Yes, {i}.", "rejected": f"No {i}"} for i in range(37)]


@pytest.fixture
def labels(directory):
    """37 pairs with a line between them that is none."""
    path = write_rows(directory / "labels.jsonl", ROWS[:20])
    path.write_text(path.read_text() + "{broken\n\n" + "".join(json.dumps(row) + "\n" for row in ROWS[20:]))
    return path


@pytest.fixture
def imported(program, directory, labels):
    """Their pair file, five of them held out."""
    program.run("import", "--format", "trl", "--input", labels, "--output", directory / "labels.h5", "--held-out", 5)
    return directory / "labels.h5"


def test_import_is_the_same_on_one_and_three_ranks(program, directory, labels):
    contents = []
    for ranks in (1, 3):
        output = directory / f"{ranks}.h5"
        done = program.run("import", "--format", "trl", "--input", labels, "--output", output, "--held-out", 5, ranks=ranks)
        contents.append(dataset_contents(output))
        assert "labels.jsonl:21: left out" in done.stderr and "37 pairs" in done.stderr
        assert "1 rows left out" in done.stderr
    assert not differing(*contents)


def test_an_import_that_fails_leaves_nothing(program, directory, labels):
    output = directory / "no.h5"
    program.run("import", "--format", "trl", "--input", labels, "--output", output, "--max-bad-rows", 0, expect=2)
    program.run("import", "--format", "hh-rlhf", "--input", labels, "--output", output, ranks=2, expect=2)
    assert not output.exists() and not list(directory.glob("*.unfinished*"))


@pytest.mark.parametrize("ranks", (1, 2))
def test_export_gives_the_same_texts(program, directory, imported, ranks):
    program.run("export", "--format", "openrlhf", "--input", imported, "--output", directory / "out.jsonl", ranks=ranks)
    found = [(row["id"], row["chosen"][-1]["content"], row["rejected"][-1]["content"])
             for row in read_rows(directory / "out.jsonl")]
    assert found == [(row["id"], row["chosen"], row["rejected"]) for row in ROWS]


def test_export_of_held_out_pairs_alone(program, directory, imported):
    program.run("export", "--format", "trl", "--input", imported, "--output", directory / "held.jsonl", "--split", "held_out")
    assert len(read_rows(directory / "held.jsonl")) == 5


def test_labels_beside_synthesized_pairs(program, directory, tiny_model, labels):
    run = directory / "mix"
    config = write_config(directory / "mix.yaml", run, tiny_model, synthesis={"max_input_tokens": 8192},
                          train={"max_length": 1024, "max_prompt_length": 512})
    program.run("synthesize", "--config", config)
    program.run("judge", "--config", config)
    mixes = {ranks: directory / f"mix-{ranks}.h5" for ranks in (1, 2, 3)}
    for ranks, path in mixes.items():
        program.run("import", "--format", "trl", "--input", labels, "--with", run / "pairs.h5", "--output", path, ranks=ranks)
        described = json.loads(program.run("inspect", path).stdout)
        counts = {row["name"]: row["pairs"] for row in described["strategies"]}
        assert counts["label"] == 37 and counts["prefix"] == 6, counts
        program.run("inspect", "--verify", path)
    old, mixed = dataset_contents(run / "pairs.h5"), dataset_contents(mixes[1])
    for ranks in (2, 3):
        assert not differing(dataset_contents(mixes[ranks]), mixed), "the same mix on any number of ranks"
    for name in old:
        if name.startswith(("pairs/", "responses/text/bytes")):
            assert mixed[name].startswith(old[name]), f"{name}: the old pairs are the first ones, as they were"
        if name.startswith("verdicts/"):
            assert mixed[name] == old[name], f"{name}: their verdicts are kept"
    assert not list(directory.glob("*.unfinished*"))
    program.run("import", "--format", "trl", "--input", labels, "--with", mixes[1], "--output", directory / "no.h5", expect=2)

    mixes[2].replace(run / "pairs.h5")
    program.run("train", "--config", config, "--set", "train.epochs=1", "--set", "train.exclude_flags=[empty, identical]",
                "--set", "train.strategies=[label, prefix]", ranks=2)
    metrics = read_rows(run / "train/metrics.jsonl")
    assert any("strategy/label/loss" in row for row in metrics), "labels are a strategy of their own"


def test_a_gguf_file_becomes_an_hf_directory(program, directory, model):
    program.run("import", "--format", "gguf", "--input", model, "--output", directory / "hf")
    assert (directory / "hf/model.safetensors").exists() and (directory / "hf/tokenizer.json").exists()


def hh_rlhf(published, directory, name):
    """The rows as plain text, and how many have one prompt on both sides."""
    plain = directory / f"{name}.jsonl"
    plain.write_bytes(gzip.decompress(published(f"hh_rlhf/{name}-base-test.jsonl.gz").read_bytes()))
    label = "\n\nAssistant:"
    prompts = [[row[side][:row[side].rfind(label)] for side in ("chosen", "rejected")] for row in read_rows(plain)]
    return plain, sum(a == b for a, b in prompts)


@pytest.fixture(params=("ultrafeedback-binarized", "llama-factory-sharegpt", "harmless", "helpful"))
def real_file(request, published, directory):
    """Format, file, and the number of its pairs by an independent count."""
    if request.param == "ultrafeedback-binarized":
        return request.param, published("ultrafeedback/pairs_1000.jsonl"), 1000
    if request.param == "llama-factory-sharegpt":
        path = published("ultrafeedback/dpo_en_demo.json")
        return request.param, path, len(read_json(path))
    return "hh-rlhf", *hh_rlhf(published, directory, request.param)


def test_real_files_survive_the_round_trip_through_trls_format(program, directory, real_file):
    format_name, path, expected = real_file
    first, rows, second = directory / "first.h5", directory / "rows.jsonl", directory / "second.h5"
    program.run("import", "--format", format_name, "--input", path, "--output", first, ranks=2)
    assert json.loads(program.run("inspect", first).stdout)["pairs"] == expected
    program.run("export", "--format", "trl", "--exclude-flags", "", "--input", first, "--output", rows)
    program.run("import", "--format", "trl", "--input", rows, "--output", second)
    kept = [{name: data for name, data in dataset_contents(path).items()
             if name.startswith(("responses/text", "instructions/"))} for path in (first, second)]
    assert kept[0] and not differing(*kept)


def test_parquet_and_back(program, directory, root, imported):
    pytest.importorskip("pyarrow")
    source, packed, again = (directory / name for name in ("out.jsonl", "out.parquet", "again.jsonl"))
    program.run("export", "--format", "openrlhf", "--input", imported, "--output", source)
    execute(sys.executable, root / "analysis/parquet.py", source, packed)
    refused = program.run("import", "--format", "openrlhf", "--input", packed, "--output", directory / "no.h5", expect=2)
    assert "analysis/parquet.py" in refused.stderr, "a Parquet file is refused with what to do"
    execute(sys.executable, root / "analysis/parquet.py", packed, again)
    assert read_rows(again) == read_rows(source)
    program.run("import", "--format", "openrlhf", "--input", again, "--output", directory / "parquet.h5")
