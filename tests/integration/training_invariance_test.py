"""The losses of 20 steps on a real model do not depend on ranks, passes, sharding or what is kept for the way back.

python training_invariance_test.py popalign MODELS PAIRS.jsonl [--pairs 12] [--max-length 192]

SmolLM2-135M in float32 within 1e-4 of the run on one rank. (float64 and every packing: tests/unit/preference.)
"""
import argparse
import json
import pathlib
import sys
import tempfile

from harness import SKIP, check, require_models, run

STEPS = 20
VARIATIONS = [
    ("one pair a pass", 1, {"micro_batch_tokens": 1}),
    ("two ranks", 2, {"micro_batch_tokens": 300, "bucket_megabytes": 4}),
    ("four ranks, ZeRO 1", 4, {"zero_stage": 1}),
    ("two ranks, ZeRO 2, activations computed again", 2, {"zero_stage": 2, "activation_checkpointing": True}),
]


def train(arguments, work, model, pairs, name, ranks, options):
    directory = work / name.replace(" ", "_").replace(",", "")
    directory.mkdir()
    (directory / "pairs.h5").write_bytes(pairs)
    config = directory / "run.yaml"
    size = max(1, arguments.pairs * 5 // STEPS)
    config.write_text(json.dumps({
        "run": {"directory": str(directory), "device": "cpu"}, "models": {"student": {"path": str(model)}},
        "train": {"model": "student", "beta": 0.1, "learning_rate": 1e-6, "global_batch_size": size, "epochs": 5,
                  "max_length": arguments.max_length, "max_prompt_length": arguments.max_length // 2,
                  "checkpoint_steps": 1000, "exclude_flags": [], **options}}))
    run(arguments.program, "train", "--config", config, ranks=ranks)
    lines = [json.loads(line) for line in (directory / "train/metrics.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("models")
    parser.add_argument("rows", type=pathlib.Path)
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--max-length", type=int, default=192)
    arguments = parser.parse_args()
    model = require_models(arguments.models)
    if not arguments.rows.exists():
        print(f"skipped: {arguments.rows} is absent")
        return SKIP
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        with open(arguments.rows, encoding="utf-8") as file:
            (work / "rows.jsonl").write_text("".join(file.readline() for _ in range(arguments.pairs)))
        run(arguments.program, "import", "--format", "trl", "--input", work / "rows.jsonl", "--output", work / "pairs.h5")
        pairs = (work / "pairs.h5").read_bytes()
        expected = train(arguments, work, model, pairs, "alone", 1, {})
        check(len(expected) == STEPS and expected[-1] < expected[0], f"{STEPS} steps, and the loss falls")
        for name, ranks, options in VARIATIONS:
            found = train(arguments, work, model, pairs, name, ranks, options)
            worst = max(abs(a - b) / abs(b) for a, b in zip(found, expected, strict=True))
            check(worst < 1e-4, f"{name}: the same losses within {worst:.1e}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
