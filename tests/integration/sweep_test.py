"""A sweep done here, on ranks: what is shared is made once, a changed sweep does only what is new, a failing run marks
only its own row, and a signal stops it with everything saved."""
import csv
import json
import pathlib
import subprocess
import sys
import tempfile

from harness import ROOT, check, run, write_config
from tiny_model import write_tiny_model


def sweep_config(path, directory, model, **sweep):
    config = json.loads(write_config(path, directory, model, instructions={"limit": 6, "held_out": 3}, synthesis={
        "max_new_tokens": 8, "max_input_tokens": 8192}, train={"max_length": 512, "max_prompt_length": 256, "epochs": 1}).read_text())
    config["strategies"] = [s for s in config["strategies"] if s["name"] in ("prefix", "refine")]
    config["sweep"] = {"judge": False, "keep_models": False, **sweep}
    path.write_text(json.dumps(config))
    return path


def table(directory):
    with (directory / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def main():
    program = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        model, directory = write_tiny_model(work / "model"), work / "sweep"
        config = sweep_config(work / "sweep.yaml", directory, model, mixes=["single", "all"])
        plan = json.loads(run(program, "sweep", "--config", config, "--plan").stdout)
        check(plan["count"] == {"data": 1, "base": 1, "runs": 3} and plan["core_hours_at_most"] > 0,
              f"the plan has three runs on one pair file: {plan['count']}")

        run(program, "sweep", "--config", config, "--local", ranks=2)
        rows = table(directory)
        check([row["mix"] for row in rows] == ["prefix", "refine", "all"] and all(r["state"] == "done" for r in rows),
              "three runs are done")
        check(len({row["n"] for row in rows}) == 1 and int(rows[0]["n"]) > int(rows[0]["n/prefix"]) > 0,
              "all are evaluated on the same held-out pairs, of both strategies")
        check(int(rows[2]["tokens"]) == int(rows[0]["tokens"]) + int(rows[1]["tokens"]),
              "the mix is trained on the pairs of both")
        check(len(list(directory.glob("data/*/pairs.h5"))) == 1 and not list(directory.glob("run/*/pairs.h5")) and
              not list(directory.glob("run/*/model")), "one pair file; models are gone, as asked for")
        costs = [json.loads(line)["stage"] for path in directory.rglob("cost.jsonl") for line in path.open()]
        check(sorted(costs) == ["evaluate preference"] * 4 + ["reference", "synthesize"] + ["train"] * 3,
              f"pairs, reference and base evaluation are made once: {sorted(costs)}")
        total = json.loads(run(program, "inspect", directory, "--cost").stdout)
        check(total["total"]["records"] == 9 and total["stages"]["train"]["core_seconds"] > 0 and
              set(total["strategy_tokens"]) == {"prefix", "refine"}, "inspect --cost adds them up")

        before = {path: path.stat().st_mtime_ns for path in directory.glob("*/*/status.json")}
        sweep_config(work / "sweep.yaml", directory, model, mixes=["single", "all"], seeds=[0, 1])
        run(program, "sweep", "--config", config, "--local", "--set", "sweep.mixes=[all]", ranks=1)
        check(all(path.stat().st_mtime_ns == time for path, time in before.items()) and
              len(list(directory.glob("run/*"))) == 4, "a changed sweep does only what is new")

        sweep_config(work / "sweep.yaml", directory, model, mixes=["single"], factors=[
            {"key": "train.objective", "values": ["dpo", "nonsense"]}])
        done = run(program, "sweep", "--config", config, "--local", ranks=2, expect=1)
        rows = table(directory)
        states = {(row["mix"], row["train.objective"]): row["state"] for row in rows}
        check(states == {("prefix", "dpo"): "done", ("refine", "dpo"): "done", ("prefix", "nonsense"): "failed",
                         ("refine", "nonsense"): "failed"}, f"failing runs mark only their own rows: {states}")
        check("nonsense" in next(row["error"] for row in rows if row["state"] == "failed"), "and say why")
        status = run(program, "sweep", "--config", config, "--status").stdout
        check("runs                 2 done    0 started    2 failed    0 missing" in status, "--status counts them")
        check("nonsense" in done.stderr, "the log says it too")
        run(program, "sweep", "--config", config, "--plan", "--set", "sweep.factors=[{key: train.betta, values: [1]}]",
            expect=2)
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            print("no pyarrow: the Parquet table is not looked at")
            return 0
        subprocess.run([sys.executable, ROOT / "analysis/campaign_table.py", directory], check=True)
        check((directory / "results.parquet").stat().st_size > 0, "the table as Parquet")
        subprocess.run([sys.executable, ROOT / "analysis/campaign_report.py", "--sweep", directory], check=True)
        check("run/" not in (directory / "report.html").read_text()[:200], "and as a report")
    return 0


if __name__ == "__main__":
    sys.exit(main())
