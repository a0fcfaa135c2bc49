"""Preference data of other programs: import on any number of ranks, export, training on a mix, real files."""
import gzip
import json
import pathlib
import subprocess
import sys
import tempfile

from harness import ROOT, check, dataset_contents, require_models, run, write_config

DATA = ROOT / "../shared/data"


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf8").split("\n") if line]


def real_files(work):
    """Format, file, and the number of pairs by an independent count."""
    files = []
    for name, format_name in (("pairs_1000.jsonl", "ultrafeedback-binarized"), ("dpo_en_demo.json", "llama-factory-sharegpt")):
        path = DATA / "ultrafeedback" / name
        if path.exists():
            files.append((format_name, path, 1000 if name.startswith("pairs") else len(json.loads(path.read_text()))))
    for name in ("harmless", "helpful"):
        path = DATA / "hh_rlhf" / f"{name}-base-test.jsonl.gz"
        if not path.exists():
            continue
        plain = work / f"{name}.jsonl"
        plain.write_bytes(gzip.decompress(path.read_bytes()))
        label = "\n\nAssistant:"
        prompts = [[row[side][:row[side].rfind(label)] for side in ("chosen", "rejected")] for row in lines(plain)]
        files.append(("hh-rlhf", plain, sum(a == b for a, b in prompts)))
    return files


def parquet_round_trip(program, work):
    """What `export` wrote, as Parquet and back; skipped without pyarrow."""
    script = [sys.executable, ROOT / "analysis/parquet.py"]
    source, packed, again = work / "out.jsonl", work / "out.parquet", work / "again.jsonl"
    done = subprocess.run([*script, source, packed], capture_output=True, text=True)
    if done.returncode == 77:
        print(done.stdout.strip())
        return
    check(done.returncode == 0, f"JSON Lines become Parquet {done.stderr}")
    refused = run(program, "import", "--format", "openrlhf", "--input", packed, "--output", work / "no.h5", expect=2)
    check("analysis/parquet.py" in refused.stderr, "a Parquet file is refused with what to do")
    subprocess.run([*script, packed, again], check=True, capture_output=True)
    check(lines(again) == lines(source), "Parquet and back gives the same rows")
    run(program, "import", "--format", "openrlhf", "--input", again, "--output", work / "parquet.h5")


def main():
    program, model = sys.argv[1], require_models(sys.argv[2])
    try:
        import h5py  # noqa: F401
    except ImportError as error:
        print(f"skipped: {error}")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        source = work / "labels.jsonl"
        rows = [{"id": str(i), "prompt": f"Question {i}?", "chosen": f"Yes, {i}.", "rejected": f"No {i}"} for i in range(37)]
        source.write_text("".join(json.dumps(row) + "\n" for row in rows[:20]) + "{broken\n\n" +
                          "".join(json.dumps(row) + "\n" for row in rows[20:]))
        contents = {}
        for ranks in (1, 3):
            done = run(program, "import", "--format", "trl", "--input", source, "--output", work / f"{ranks}.h5",
                       "--held-out", 5, ranks=ranks)
            contents[ranks] = dataset_contents(work / f"{ranks}.h5")
            check("labels.jsonl:21: left out" in done.stderr and "37 pairs" in done.stderr and "1 rows left out" in done.stderr,
                  f"bad rows are told by line and counted on {ranks} ranks")
        check(contents[1] == contents[3], "the same file on 1 and on 3 ranks")
        run(program, "import", "--format", "trl", "--input", source, "--output", work / "no.h5", "--max-bad-rows", 0, expect=2)
        run(program, "import", "--format", "hh-rlhf", "--input", source, "--output", work / "no.h5", ranks=2, expect=2)
        check(not (work / "no.h5").exists(), "nothing is left of an import that failed")
        for ranks in (1, 2):
            run(program, "export", "--format", "openrlhf", "--input", work / "3.h5", "--output", work / "out.jsonl", ranks=ranks)
            out = lines(work / "out.jsonl")
            check([(row["id"], row["chosen"][-1]["content"], row["rejected"][-1]["content"]) for row in out] ==
                  [(row["id"], row["chosen"], row["rejected"]) for row in rows], f"the same texts out again on {ranks} ranks")
        run(program, "export", "--format", "trl", "--input", work / "3.h5", "--output", work / "held.jsonl", "--split", "held_out")
        check(len(lines(work / "held.jsonl")) == 5, "the held-out pairs alone")

        directory = work / "mix"
        config = write_config(work / "mix.yaml", directory, model)
        run(program, "synthesize", "--config", config)
        run(program, "judge", "--config", config)
        made = directory / "pairs.h5"
        for ranks in (1, 2, 3):
            run(program, "import", "--format", "trl", "--input", source, "--with", made, "--output", work / f"mix-{ranks}.h5",
                ranks=ranks)
            counts = {row["name"]: row["pairs"] for row in
                      json.loads(run(program, "inspect", work / f"mix-{ranks}.h5").stdout)["strategies"]}
            check(counts["label"] == 37 and counts["prefix"] == 6, f"labels beside PopAlign's pairs ({counts}) on {ranks} ranks")
            run(program, "inspect", "--verify", work / f"mix-{ranks}.h5")
        mixes = [dataset_contents(work / f"mix-{ranks}.h5") for ranks in (1, 2, 3)]
        check(mixes[0] == mixes[1] == mixes[2], "the same mix on 1, 2 and 3 ranks")
        old = dataset_contents(made)
        check(all(mixes[0][name].startswith(old[name]) for name in old if name.startswith(("pairs/", "responses/text/bytes"))),
              "the old pairs are the first ones, as they were")
        check(all(mixes[0][name] == old[name] for name in old if name.startswith("verdicts/")), "their verdicts are kept")
        check(not list(work.glob("*.unfinished*")), "nothing unfinished is left")
        run(program, "import", "--format", "trl", "--input", source, "--with", work / "mix-1.h5", "--output", work / "no.h5",
            expect=2)
        made.unlink()
        (work / "mix-2.h5").rename(made)
        run(program, "train", "--config", config, "--set", "train.epochs=1", "--set", "train.exclude_flags=[empty, identical]",
            "--set", "train.strategies=[label, prefix]", ranks=2)
        metrics = lines(directory / "train" / "metrics.jsonl")
        check(any("strategy/label/loss" in row for row in metrics), "training reports the labels as a strategy of their own")

        hf = work / "hf"
        run(program, "import", "--format", "gguf", "--input", model, "--output", hf)
        check((hf / "model.safetensors").exists() and (hf / "tokenizer.json").exists(), "a GGUF file becomes an HF directory")

        for format_name, path, expected in real_files(work):
            done = run(program, "import", "--format", format_name, "--input", path, "--output", work / "real.h5", ranks=2)
            count = json.loads(run(program, "inspect", work / "real.h5").stdout)["pairs"]
            check(count == expected, f"{path.name}: {count} pairs, as counted independently")
            run(program, "export", "--format", "trl", "--exclude-flags", "", "--input", work / "real.h5", "--output", work / "a.jsonl")
            run(program, "import", "--format", "trl", "--input", work / "a.jsonl", "--output", work / "again.h5")
            first, second = dataset_contents(work / "real.h5"), dataset_contents(work / "again.h5")
            check(all(first[name] == second[name] for name in first if name.startswith(("responses/text", "instructions/"))),
                  f"{path.name}: the same texts through TRL's format and back")
        parquet_round_trip(program, work)
    return 0


if __name__ == "__main__":
    sys.exit(main())
