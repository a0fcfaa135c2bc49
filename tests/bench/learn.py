"""Does training learn? 800 of the 1,000 UltraFeedback pairs, one epoch, accuracy on the other 200 before and after.

Reward accuracy starts at 0 where a policy is its own reference (all ties) and at one half by chance; the interval is Wilson's.
A run that was stopped continues with the same command.
usage: learn.py POPALIGN MODEL PAIRS.jsonl DIRECTORY [--objective dpo|reward] [--max-length N] [--learning-rate R] [--count N] [--ranks N]
       [--device auto|cpu|cuda]
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

RATES = {"dpo": 1e-5, "reward": 1e-5}


def parse():
    parser = argparse.ArgumentParser()
    for name in ("program", "model", "pairs", "directory"):
        parser.add_argument(name)
    parser.add_argument("--objective", default="dpo", choices=RATES)
    parser.add_argument("--max-length", type=int, default=512)
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--count", type=int, default=1000, help="rows that are used; a fifth of them is held out")
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    return parser.parse_args()


def run(options, *arguments):
    threads = max(1, os.cpu_count() // options.ranks)
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "OMPI_ALLOW_RUN_AS_ROOT": "1",
                   "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    launcher = ["mpirun", "-n", str(options.ranks), "--bind-to", "none"] if options.ranks > 1 else []
    begin = time.monotonic()
    done = subprocess.run(launcher + [options.program, *map(str, arguments)], env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"exit status {done.returncode} of {arguments}")
    return done.stdout, time.monotonic() - begin


def figure(evaluation, key):
    value = evaluation["overall"][key]
    return f"{key} {value['value']:.3f} ({value['lower']:.3f} to {value['upper']:.3f}, n = {evaluation['overall']['n']})"


def main():
    options = parse()
    directory = pathlib.Path(options.directory)
    directory.mkdir(parents=True, exist_ok=True)
    rate = options.learning_rate or RATES[options.objective]
    config = directory / "learn.yaml"
    config.write_text(json.dumps({
        "run": {"directory": str(directory), "device": options.device},
        "models": {"student": {"path": options.model}},
        "train": {"objective": options.objective, "beta": 0.1, "learning_rate": rate, "global_batch_size": 16,
                  "max_length": options.max_length, "max_prompt_length": options.max_length // 2,
                  "exclude_flags": ["identical", "empty"], "checkpoint_steps": 5}}))
    if not (directory / "pairs.h5").exists():
        rows = pathlib.Path(options.pairs).read_text(encoding="utf8").split("\n")[:options.count]
        (directory / "pairs.jsonl").write_text("\n".join(rows) + "\n", encoding="utf8")
        run(options, "import", "--format", "ultrafeedback-binarized", "--input", directory / "pairs.jsonl", "--output",
            directory / "pairs.h5", "--held-out", len(rows) // 5)
    before = None
    if options.objective == "dpo":
        before = json.loads(run(options, "evaluate", "preference", "--config", config, "--model", "student", "--output",
                                directory / "before.json")[0])
    _, seconds = run(options, "train", "--config", config)
    after = json.loads(run(options, "evaluate", "preference", "--config", config)[0])

    lines = [json.loads(line) for line in (directory / "train" / "metrics.jsonl").read_text().split("\n") if line]
    accuracy = "rewards/accuracies" if options.objective == "dpo" else "accuracy"
    margin = "rewards/margins" if options.objective == "dpo" else "margin"
    print(f"{options.objective}, learning rate {rate:g}, {len(lines)} steps, {seconds:.0f} s")
    print("| steps | loss | accuracy | margin |\n|---|---|---|---|")
    for begin in range(0, len(lines), 10):
        part = lines[begin:begin + 10]
        mean = [sum(line[key] for line in part) / len(part) for key in ("loss", accuracy, margin)]
        print(f"| {part[0]['step']}-{part[-1]['step']} | {mean[0]:.4f} | {mean[1]:.3f} | {mean[2]:.4f} |")
    if before:
        print("held out, before:", figure(before, "logps_accuracy"))
        print("held out, after:", figure(after, "reward_accuracy") + ";", figure(after, "logps_accuracy"))
    else:
        print("held out:", figure(after, "accuracy"), {key: round(after["overall"][key], 4)
                                                      for key in ("margin", "log_loss", "brier", "calibration_error")})


if __name__ == "__main__":
    main()
