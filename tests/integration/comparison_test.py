"""The comparison with the baselines from its data to its tables, in small: every method has its row in the tables, and a
second run finds all there and says the same."""
import pathlib
import re
import subprocess
import sys
import tempfile
import time

from harness import ROOT, check, environment, require_models

METHODS = ("the student", "Label-DPO", "RLAIF", "Context-Dist", "RLCD", "RLCD, six draws", "PopAlign (DPO)", "PopAlign (PPO)")
INTERVAL = re.compile(r"\d+\.\d \[\d+\.\d, \d+\.\d\]")


def compare(program, model, labels, directory):
    done = subprocess.run(
        [sys.executable, ROOT / "analysis/comparison.py", "--program", program, "--teacher", model, "--student", model,
         "--labels", labels, "--directory", directory, "--instructions", "4", "--held-out", "4", "--held-out-pairs", "4",
         "--tokens", "8"], env=environment(), capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"failed: {done.stderr[-3000:]}")
    return done.stdout


def main():
    program, model = sys.argv[1], require_models(sys.argv[2])
    labels = pathlib.Path(sys.argv[3])
    if not labels.exists():
        print(f"skipped: {labels} is absent")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        text = compare(program, model, labels, pathlib.Path(folder) / "comparison")
        for method in METHODS:
            rows = [line for line in text.splitlines() if line.startswith(f"| {method} |")]
            check(len(rows) >= 2 and all(INTERVAL.search(row) for row in rows), f"{method} has its figures with intervals")
        check("Table 5: DPO against PPO" in text and "the paper has it" in text, "the paper's order is told")
        with open(pathlib.Path(folder) / "comparison/popalign/cost.jsonl", "a", encoding="utf8") as costs:
            costs.write('{"stage": "train", "core_seconds": 0}\n')  # as a start leaves that was stopped
        start = time.monotonic()
        check(compare(program, model, labels, pathlib.Path(folder) / "comparison") == text, "run again, it says the same")
        check(time.monotonic() - start < 30, "and makes nothing anew")
    return 0


if __name__ == "__main__":
    sys.exit(main())
