"""The report of a made-up campaign: its figures are the ones that went in, and what is absent is said."""
import csv
import json
import sys

import pytest
from program import execute

np, parquet = pytest.importorskip("numpy"), pytest.importorskip("pyarrow.parquet")
pytest.importorskip("matplotlib"), pytest.importorskip("scipy")
pytestmark = pytest.mark.one_case

STRATEGIES = ["prefix", "demonstration", "elicitive", "nparam", "leaderboard", "refine"]
WORTH = dict(zip(STRATEGIES, (0.62, 0.66, 0.74, 0.58, 0.6, 0.55)))
N = 96


def run(mix, designs, accuracy, seed, instructions=0, **more):
    half = 0.08
    row = {"run": f"run/{len(mix)}-{seed}-{instructions}-{accuracy:.4f}", "mix": mix, "designs": designs,
           "strategies": more.pop("strategies", mix if mix != "all" else "+".join(STRATEGIES)), "instructions": instructions,
           "draws": 1, "seed": seed, "state": "done", "error": "", "steps": 12, "tokens": 6000 * (instructions or 48),
           "reward_accuracy": accuracy, "reward_accuracy_lower": accuracy - half, "reward_accuracy_upper": accuracy + half,
           "logps_accuracy": 0.5 + (accuracy - 0.5) / 2, "n": N, "loss": 0.69 - accuracy / 10, "reward_margin": accuracy / 5,
           "base_logps_accuracy": 0.48, "base_n": N, "seconds": 100.0, "core_seconds": 180.0}
    for i, name in enumerate(STRATEGIES):
        row[f"reward_accuracy/{name}"] = min(1.0, accuracy + 0.05 * ((i + len(mix)) % 3 - 1))
    return {**row, **more}


def rows_of_a_sweep(generator):
    rows = []
    for seed in (0, 1, 2):
        noise = lambda: 0.01 * generator.standard_normal()  # noqa: E731
        for name in STRATEGIES:
            rows.append(run(name, "single+cumulative" if name == "prefix" else "single", WORTH[name] + noise(), seed))
        for count in range(2, 6):
            rows.append(run("+".join(STRATEGIES[:count]), "cumulative", 0.62 + 0.03 * count + noise(), seed))
        rows.append(run("all", "cumulative+all", 0.8 + noise(), seed))
        rows.append(run("prefix x6", "control", 0.65 + noise(), seed, strategies="", draws=6))
        for size in (8, 12, 16, 24, 32):
            loss = (0.5 + 0.3 * (size / 8) ** -0.7) * np.exp(0.002 * generator.standard_normal())
            rows.append(run("all", "cumulative+all", 1 - loss / 2, seed, size, loss=loss))
    rows.append({**run("refine", "single", 0.5, 9), "state": "failed", "error": "no <room> left", "reward_accuracy": ""})
    return rows


def write_sweep(directory, rows):
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with (directory / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
    (directory / "run").mkdir(exist_ok=True)
    (directory / "run/cost.jsonl").write_text(
        json.dumps({"stage": "train", "seconds": 100, "core_seconds": 7200, "tokens": 123456, "written_bytes": 1 << 20,
                    "peak_memory_bytes": 3 << 30}) + "\n" +
        json.dumps({"stage": "synthesize", "seconds": 50, "core_seconds": 3600, "strategy_tokens": {"prefix": 777}}) + "\n{")
    (directory / "plan.json").write_text(json.dumps({"estimate": "An estimate.", "runs": [
        {"name": row["run"], "core_hours_at_most": 0.04 + 0.01 * i} for i, row in enumerate(rows[:9])]}))
    (directory / "sacct.psv").write_text(
        "JobID|JobName|State|ElapsedRaw|AllocCPUS|ReqMem|MaxRSS\n7_0|runs-1|COMPLETED|3600|2|4194304K|\n"
        "7_0.batch|batch|COMPLETED|3600|2||1000K\n7_0.0|popalign|COMPLETED|3590|2||3145728K\n"
        "7_1|runs-1|COMPLETED|1800|2|4194304K|\ncut off|")
    (directory / "scaling.json").write_text(json.dumps({
        "stages": {"train": {"flops": 1e12, "cores": 2, "gradient_bytes": 5e8, "steps": [
            {"mode": "strong", "ranks": 1, "seconds": 10.0}, {"mode": "strong", "ranks": 2, "seconds": 5.4},
            {"mode": "strong", "ranks": 4, "seconds": 5.9}, {"mode": "weak", "ranks": 1, "seconds": 10.0},
            {"mode": "weak", "ranks": 2, "seconds": 10.4}, {"mode": "weak", "ranks": 4, "seconds": 21.0}]}},
        "allreduce": [{"ranks": p, "bytes": b, "seconds": 2 * (p - 1) * 1e-5 + 2 * (p - 1) / p * b * 7e-10}
                      for p in (2, 4) for b in (1e3, 1e6, 1e8)],
        "target": {"what": "a made-up cluster", "flops": 3e14, "alpha": 1e-5, "beta": 4e-11, "ranks_per_node": 8,
                   "alpha_node": 3e-6, "beta_node": 4e-12, "overlap": 0.8, "flops_per_step": 1e17, "gradient_bytes": 1.2e10}}))


@pytest.fixture(scope="module")
def rows():
    return rows_of_a_sweep(np.random.default_rng(0))


@pytest.fixture(scope="module")
def sweep(shared_directory, rows):
    write_sweep(shared_directory, rows)
    return shared_directory


def test_the_report_shows_all_and_fetches_nothing(root, sweep, rows):
    execute(sys.executable, root / "analysis/campaign_report.py", "--sweep", sweep)
    text = (sweep / "report.html").read_text(encoding="utf-8")
    assert "class=missing" not in text, "a whole campaign has nothing missing"
    assert text.count("data:image/svg+xml") == 11
    assert "no &lt;room&gt; left" in text and "<room>" not in text, "errors are escaped"
    mean = np.mean([r["reward_accuracy"] for r in rows if r["mix"] == "elicitive"])
    assert f"{100 * mean:.1f} [" in text, "means over seeds are shown"
    for part in ("123,456", "777", "An estimate.", "a made-up cluster", "alpha 10.0 µs", "0.700 ns", "4096",
                 "runs-1" + "".join(f"</td><td class=figure>{figure}" for figure in ("2", "5400", "3.000", "4.00", "3.00"))):
        assert part in text
    assert 'src="http' not in text and "<script" not in text


def test_the_table_as_parquet(root, sweep, rows):
    execute(sys.executable, root / "analysis/campaign_table.py", sweep)
    table = parquet.read_table(sweep / "results.parquet").to_pylist()
    assert len(table) == len(rows) and table[3]["reward_accuracy"] == float(rows[3]["reward_accuracy"])


def test_a_directory_without_results_says_what_to_do(root, directory):
    done = execute(sys.executable, root / "analysis/campaign_report.py", "--sweep", directory, expect=1)
    assert "sweep --collect" in done.stderr
