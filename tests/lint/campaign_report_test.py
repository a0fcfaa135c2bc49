#!/usr/bin/env python3
"""The report of a made-up campaign: its figures are the ones that went in, what is absent is said, and the fits find
the laws that made the data. Usage: campaign_report_test.py ROOT [DIRECTORY to leave the report in | --coverage]."""

import csv
import json
import pathlib
import subprocess
import sys
import tempfile

try:
    import matplotlib  # noqa: F401
    import numpy as np
    import pyarrow.parquet
    import scipy  # noqa: F401
except ImportError as error:
    print(f"the Python package {error.name} is absent")
    sys.exit(77)

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


def check_report(root, directory):
    rows = rows_of_a_sweep(np.random.default_rng(0))
    write_sweep(directory, rows)
    done = subprocess.run([sys.executable, root / "analysis/campaign_report.py", "--sweep", directory], capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr
    text = (directory / "report.html").read_text(encoding="utf-8")
    assert "class=missing" not in text, "a whole campaign has nothing missing"
    assert text.count("data:image/svg+xml") == 11, text.count("data:image/svg+xml")
    assert "no &lt;room&gt; left" in text and "<room>" not in text, "errors are escaped"
    mean = np.mean([r["reward_accuracy"] for r in rows if r["mix"] == "elicitive"])
    assert f"{100 * mean:.1f} [" in text, "means over seeds are shown"
    for part in ("123,456", "777", "An estimate.", "a made-up cluster", "alpha 10.0 µs", "0.700 ns", "4096",
                 "runs-1" + "".join(f"</td><td class=figure>{figure}" for figure in ("2", "5400", "3.000", "4.00", "3.00"))):
        assert part in text, f"{part} is not in the report"
    assert 'src="http' not in text and "<script" not in text, "nothing is fetched"

    done = subprocess.run([sys.executable, root / "analysis/campaign_table.py", directory], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    table = pyarrow.parquet.read_table(directory / "results.parquet").to_pylist()
    assert len(table) == len(rows) and table[3]["reward_accuracy"] == float(rows[3]["reward_accuracy"])

    done = subprocess.run([sys.executable, root / "analysis/campaign_report.py", "--sweep", directory / "run"],
                          capture_output=True, text=True)
    assert done.returncode == 1 and "sweep --collect" in done.stderr, done.stderr


def check_laws():
    from mixture import design, fit_surface, simplex
    from parallel_model import Machine, fit_alpha_beta, predict, step_seconds
    from scaling_law import fit_law

    x = np.geomspace(10, 1000, 6)
    law = fit_law(x, 0.4 + 2 * (x / 100) ** -0.5)
    assert abs(law.exponent - 0.5) < 1e-4 and abs(law.offset - 0.4) < 1e-4, law
    shares = simplex(3, 4)
    assert len(shares) == 15 and np.allclose(shares.sum(axis=1), 1) and len(np.unique(shares, axis=0)) == 15
    truth = np.array([0.5, 0.6, 0.7, 0.4, 0.0, -0.2])
    surface = fit_surface(["a", "b", "c"], shares, design(shares, True) @ truth)
    assert surface.quadratic and np.allclose(surface.coefficients, truth)
    best, value, _, often = surface.best()
    assert value >= max(truth[:3]) and often > 0.9, (best, value, often)
    ranks, sizes = np.array([2, 4, 8, 2]), np.array([1e3, 1e6, 1e6, 1e8])
    fitted = fit_alpha_beta(ranks, sizes, 2 * (ranks - 1) * (1e-5 + 1e-9 * sizes / ranks))
    assert np.allclose(fitted, (1e-5, 1e-9)), fitted
    assert np.allclose(fit_alpha_beta([2], [1e8], [0.1]), (0, 1e-9)), "one size: all is the bytes'"
    machine = Machine(1e12, 1e-5, 1e-9, cores=2)
    assert step_seconds(machine, 1, 1e12, 1e6) == 1
    assert step_seconds(machine, 4, 1e12, 0) > 0.5, "four ranks on two cores compute no faster than two"
    efficiencies = [row[2] for row in predict(Machine(1e12, 1e-5, 1e-9), [1, 8, 64, 512], 1e12, 1e8)]
    assert efficiencies[0] == 1 and all(a > b for a, b in zip(efficiencies, efficiencies[1:])), efficiencies


def coverage(draws):
    """How often the 95 % interval of the exponent covers the law's, for three known laws."""
    from scaling_law import fit_with_intervals

    generator = np.random.default_rng(1)
    laws = [(0.5, 1.0, 0.35, 0.01, (16, 32, 64, 128, 256)), (1.8, 2.0, 0.3, 0.005, (100, 300, 1000, 3000, 10000, 30000)),
            (0.0, 1.0, 0.5, 0.02, (8, 16, 32, 64, 128))]
    for offset, amplitude, exponent, sigma, sizes in laws:
        covered = 0
        for draw in range(draws):
            x = np.repeat(sizes, 3)
            y = (offset + amplitude * (x / sizes[0]) ** -exponent) * np.exp(sigma * generator.standard_normal(len(x)))
            low, high = fit_with_intervals(x, y, samples=120, seed=draw).exponent_interval
            covered += low <= exponent <= high
        print(f"{offset} + {amplitude} x^-{exponent}, deviation {sigma}: {covered} of {draws} intervals cover the exponent")
        assert covered >= 0.9 * draws


if __name__ == "__main__":
    source = pathlib.Path(sys.argv[1]).resolve()
    sys.path.insert(0, str(source / "analysis"))
    if sys.argv[2:] == ["--coverage"]:
        coverage(100)
        sys.exit()
    check_laws()
    if len(sys.argv) > 2:
        check_report(source, pathlib.Path(sys.argv[2]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            check_report(source, pathlib.Path(folder))
