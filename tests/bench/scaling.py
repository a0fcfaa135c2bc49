"""Training steps on 1, 2 and 4 ranks, strong and weak, for the report's scaling.json.

usage: scaling.py POPALIGN PAIRS.h5 STUDENT OUTPUT.json [--steps 4]
One thread a rank. Strong: the same global batch on all; weak: a batch that grows with the ranks. The all-reduce is what the
run on two ranks says it waited for (perf/exposed_communication); the model predicts the others from it and one rank's time.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

BATCH = 16
FLOPS_A_TOKEN = 6  # times parameters


def train(arguments, work, ranks, batch):
    directory = work / f"{ranks}-{batch}"
    config = work / "run.yaml"
    config.write_text(json.dumps({
        "run": {"directory": str(directory), "pairs": str(work / "pairs.h5"), "device": "cpu"},
        "models": {"student": {"path": str(arguments.student)}},
        "train": {"model": "student", "beta": 0.1, "global_batch_size": batch, "epochs": 100, "checkpoint_steps": 1000000,
                  "max_length": 256, "max_prompt_length": 128, "exclude_flags": ["identical", "empty"]}}))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMPI_ALLOW_RUN_AS_ROOT": "1",
                   "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    process = subprocess.Popen(["mpirun", "-n", str(ranks), "--oversubscribe", "--bind-to", "none", arguments.program, "train",
                                "--config", config], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    metrics, rows = directory / "train/metrics.jsonl", []
    while process.poll() is None and len(rows) < arguments.steps + 1:
        try:
            process.wait(1)
        except subprocess.TimeoutExpired:
            rows = [json.loads(line) for line in metrics.read_text().splitlines(True) if line.endswith("\n")] \
                if metrics.exists() else []
    process.terminate()
    _, said = process.communicate()
    if len(rows) <= arguments.steps:
        sys.exit(f"the training on {ranks} ranks ended early:\n{said.decode()[-2000:]}")
    tokens = [rows[0]["num_tokens"]] + [b["num_tokens"] - a["num_tokens"] for a, b in zip(rows, rows[1:])]
    measured = [(t / row["perf/tokens_per_second"], t, row["perf/exposed_communication"])
                for t, row in zip(tokens, rows)][1:arguments.steps + 1]  # the first step warms up
    return measured


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("pairs", type=pathlib.Path)
    parser.add_argument("student", type=pathlib.Path)
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--parameters", type=float, default=134515008)
    arguments = parser.parse_args()
    steps, reduced, rates = [], [], []
    gradient_bytes = 4 * arguments.parameters
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        (work / "pairs.h5").write_bytes(arguments.pairs.read_bytes())
        for ranks in (1, 2, 4):
            for mode, batch in (("strong", BATCH), ("weak", BATCH * ranks)):
                if ranks == 1 and mode == "weak":
                    steps.append({**steps[-1], "mode": "weak"})
                    continue
                measured = train(arguments, work, ranks, batch)
                # Steps differ in tokens: times are for the mean of the batch.
                total, tokens = sum(s for s, _, _ in measured), sum(t for _, t, _ in measured)
                rates.append(tokens / len(measured) / batch)
                seconds = total / tokens * rates[0] * batch
                steps.append({"mode": mode, "ranks": ranks, "seconds": seconds})
                if ranks == 2 and mode == "strong":
                    exposed = sum(s * e for s, _, e in measured) / len(measured)
                    reduced.append({"ranks": 2, "bytes": gradient_bytes, "seconds": exposed})
                print(mode, ranks, f"{seconds:.2f} s a step", file=sys.stderr)
    arguments.output.write_text(json.dumps({
        "stages": {"train": {"flops": FLOPS_A_TOKEN * arguments.parameters * rates[0] * BATCH, "cores": os.cpu_count(),
                             "gradient_bytes": gradient_bytes, "steps": steps}},
        "allreduce": reduced,
        "target": {"what": "Yi-6B on nodes of eight A800 with 200 Gbit/s a GPU, 128 pairs a step of 1,500 tokens (weak: 16 a GPU)",
                   "flops": 1.4e14, "alpha": 1e-5, "beta": 4e-11, "ranks_per_node": 8, "alpha_node": 5e-6,
                   "beta_node": 5e-12, "overlap": 0.8, "flops_per_step": 6 * 6e9 * 128 * 1500, "gradient_bytes": 1.2e10}},
        indent=1))


if __name__ == "__main__":
    main()
