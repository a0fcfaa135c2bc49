#!/usr/bin/env python3
"""Writes <sweep>/report.html, one self-contained file on a campaign, from results.csv (`popalign sweep --collect`),
the cost.jsonl files below it and, where it is there, scaling.json (README.md)."""

import argparse
import os
import pathlib
import sys

import numpy as np

import campaign_figures as figures
from campaign_table import factor_columns, over_seeds, read_results
from mixture import surface_of
from parallel_model import Machine, fit_alpha_beta, predict, step_seconds
from report import STYLE, escape, missing, note, number, picture, section, table
from run_directory import read_json, read_jsonl
from scaling_law import fit_with_intervals

PREDICTED_GPUS = [8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096]
WHISKERS = ("Bars are means over seeds, dots the single seeds. Intervals are Wilson's, 95 %, for the held-out pairs of one "
            "evaluation: the pairs are the same for every run, so that differences between runs are surer than the "
            "intervals say.")


def share(row, metric):
    if row.get(metric) is None:
        return "–"
    text = number(row[metric], scale=100)
    low, high = row.get(f"{metric}_lower"), row.get(f"{metric}_upper")
    return text if low is None or high is None else f"{text} [{number(low, scale=100)}, {number(high, scale=100)}]"


def of_design(means, design):
    return [row for row in means if design in row["designs"].split("+")]


def largest_only(means):
    """Mixes are compared at one size: the largest."""
    sizes = {row["instructions"] for row in means}
    size = 0 if 0 in sizes else max(sizes, default=0)
    return [row for row in means if row["instructions"] == size]


def radar_axes(rows):
    """An axis for each strategy's held-out pairs, for all of them, and for the win rate where it was judged."""
    names = [name for name in rows[0] if name.startswith("reward_accuracy/")]
    metrics = [(name.split("/", 1)[1], name) for name in names] + [("all pairs", "reward_accuracy")]
    if all(row.get("win_rate") is not None for row in rows):
        metrics.append(("win rate", "win_rate"))
    metrics = [(label, name) for label, name in metrics if all(row.get(name) is not None for row in rows)]
    lows = {name: min(100 * row[name] for row in rows) for _, name in metrics}
    highs = {name: max(100 * row[name] for row in rows) for _, name in metrics}
    # Each axis from its smallest to its largest value, as the paper's; equal ends would divide by zero.
    return [(f"{label}\n{lows[name]:.0f}–{highs[name]:.0f}", name, 100, lows[name] - 0.15 * (highs[name] - lows[name]) - 0.5,
             max(highs[name], lows[name] + 1)) for label, name in metrics]


def mixes_section(means, design, title, what):
    means = [dict(row) for row in largest_only(means)]  # labels are this section's own
    rows = of_design(means, design)
    everything = [row for row in means if row["mix"] == "all"]
    if len(rows) < 2:
        return ""
    shown = rows + [row for row in everything if row not in rows]
    if design == "cumulative":  # each by what it adds
        for before, row in list(zip(shown, shown[1:])):
            added = [name for name in row["strategies"].split("+") if name not in before["strategies"].split("+")]
            row["label"] = f"+ {', '.join(added)}" + (" = all" if row["mix"] == "all" else "")
    accuracy = "reward_accuracy"
    if any(row.get(accuracy) is None for row in shown):
        return section(title, missing("Not every run has been evaluated on held-out pairs."))
    cells = [(row.get("label", row["mix"]), row["seeds"], share(row, accuracy), number(row.get("loss"), 4), number(row.get("reward_margin"), 3),
              share(row, "logps_accuracy"), share(row, "win_rate"), f"{row.get('tokens') or 0:,.0f}") for row in shown]
    axes = radar_axes(shown)
    parts = [note(what), picture(figures.bars(shown, accuracy, "reward accuracy on held-out pairs [%]", reference=0.5,
                                              reference_label="chance"),
                                 f"reward accuracy of each mix, {title}")]
    if len(axes) >= 3:
        parts += [note("The same runs as radar charts: each axis is the reward accuracy [%] on the held-out pairs of one strategy "
                       "(and the judged win rate, where there is one), from a little below the smallest to the largest value, "
                       "which are written at its end. Grey: all strategies together."),
                  picture(figures.radar(shown, axes, everything[0] if everything else None), f"radar charts, {title}")]
    parts += [table(("mix", "seeds", "reward accuracy [%]", "held-out loss [nat]", "margin", "log-prob. accuracy [%]",
                     "win rate [%]", "tokens trained on"), cells), note(WHISKERS)]
    return section(title, *parts)


def controls_section(means):
    controls = of_design(means, "control")
    others = [row for row in largest_only(means) if row["mix"] == "all" or row["mix"] in
              {control["mix"].split(" x")[0] for control in controls}]
    if not controls:
        return ""
    rows = controls + others
    return section(
        "Variety or size: one strategy drawn several times",
        note("A control has as many pairs as a mix of that many strategies, all of one strategy with fresh answers: what "
             "a mix gains over it is not owed to the number of pairs."),
        picture(figures.bars(rows, "reward_accuracy", "reward accuracy on held-out pairs [%]"), "controls and mixes"),
        table(("mix", "seeds", "reward accuracy [%]", "held-out loss [nat]", "tokens trained on"),
              [(row["mix"], row["seeds"], share(row, "reward_accuracy"), number(row.get("loss"), 4),
                f"{row.get('tokens') or 0:,.0f}") for row in rows]), note(WHISKERS))


def surface_section(rows):
    title = "Response surface over mixtures"
    if len({row["mix"] for row in rows}) < 2:
        return ""
    try:
        surface, equal_size = surface_of(rows, "reward_accuracy")
    except ValueError as error:
        return section(title, missing(f"Not fitted: {error}."))
    best, value, interval, often = surface.best()
    recipe = ", ".join(f"{name} {100 * x:.0f} %" for name, x in zip(surface.strategies, best) if x > 0)
    order = "quadratic (Scheffé)" if surface.quadratic else "linear: too few runs for blends' own terms"
    size = ("Every run has one pair an instruction, so that they are of one size." if equal_size else
            "The runs differ in size as well as in mix (there are none with proportions), so that the surface mixes the two.")
    return section(
        title,
        note(f"Reward accuracy as a function of the strategies' shares, {order}, from {surface.points} runs; residual "
             f"deviation {100 * surface.residual_deviation:.1f} points. {size} Intervals are 95 %, by bootstrap of residuals."),
        picture(figures.response_surface(surface, "reward accuracy [%]"), "response surface"),
        note(f"Predicted best mix: {recipe}, at {100 * value:.1f} % [{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]; in "
             f"{100 * often:.0f} % of bootstrap samples the best lies there or one step beside it. It is a prediction of "
             "the surface, not a run."))


def fits_of(rows, x_of, metric, transform=lambda v: v):
    """A fit for each mix (and factor values) with three sizes or more."""
    groups, refused = {}, []
    for row in rows:
        if row["state"] == "done" and row.get(metric) is not None and x_of(row):
            name = ", ".join([row["mix"], *(f"{key} {row[key]}" for key in factor_columns(rows) if row.get(key) is not None)])
            groups.setdefault(name, []).append((x_of(row), transform(row[metric])))
    fits = []
    for name, points in groups.items():
        x, y = zip(*sorted(points))
        if len(set(x)) >= 4:
            try:
                fits.append((name, x, y, fit_with_intervals(x, y)))
            except ValueError as error:
                refused.append(f"{name}: {error}")
    return fits, refused


def scaling_law_section(rows):
    title = "Scaling with data"
    parts, table_rows = [], []
    kinds = [("held-out loss [nat]", "loss", lambda v: v), ("1 - reward accuracy", "reward_accuracy", lambda v: max(1 - v, 1e-3))]
    for label, metric, transform in kinds:
        for axis, symbol, x_of in (("training instructions", "n", lambda r: r["instructions"]),
                                   ("tokens trained on", "T", lambda r: r.get("tokens"))):
            fits, refused = fits_of(rows, x_of, metric, transform)
            if not fits or (symbol == "T" and metric != "loss"):
                continue
            parts.append(picture(figures.scaling_law(fits, axis, label, symbol), f"{label} against {axis}"))
            for name, x, _, fit in fits:
                table_rows.append((f"{label} by {axis}", name, len(x), number(fit.law.exponent, 3),
                                   "[{:.3f}, {:.3f}]".format(*fit.exponent_interval), number(fit.law.offset, 4),
                                   "[{:.4f}, {:.4f}]".format(*fit.offset_interval),
                                   number(100 * float(np.std(fit.residuals)), 2)))
            parts += [missing(text) for text in refused]
    if not parts:
        return ""
    return section(
        title,
        note("L(x) = E + A x^-α, fitted to log L by least squares, with 95 % intervals by parametric bootstrap "
             "(analysis/scaling_law.py). Where the curve bends too little in the range measured, E and α trade "
             "against each other and the intervals are wide. Dashed, on grey: beyond what was measured."),
        *parts, table(("what", "mix", "runs", "α", "95 %", "E", "95 %", "residual [%]"), table_rows, 2))


def scaling_machine_section(scaling):
    """scaling.json: {"train"|"synthesis": {"steps": [{ranks, seconds, mode}], "flops", "cores"}, "allreduce":
    [{ranks, bytes, seconds}], "target": {...Machine, "flops_per_step", "gradient_bytes"}}."""
    title = "Strong and weak scaling"
    if not scaling:
        return section(title, missing("No measurements: scaling.json is not there (README.md says how it is made)."))
    series, cells = [], []
    reduced = scaling.get("allreduce", [])
    alpha, beta = fit_alpha_beta(*zip(*((r["ranks"], r["bytes"], r["seconds"]) for r in reduced if r["ranks"] > 1))) \
        if any(r["ranks"] > 1 for r in reduced) else (0.0, 0.0)
    for name, stage in scaling.get("stages", {}).items():
        for mode in ("strong", "weak"):
            steps = sorted((s for s in stage["steps"] if s["mode"] == mode), key=lambda s: s["ranks"])
            alone = [s for s in steps if s["ranks"] == 1]
            if not alone:
                continue
            flops = stage["flops"]
            machine = Machine(flops / alone[0]["seconds"], alpha, beta, cores=stage["cores"])
            size = stage.get("gradient_bytes", 0)
            modelled = [step_seconds(machine, s["ranks"], flops * (s["ranks"] if mode == "weak" else 1), size)
                        for s in steps]
            series.append((f"{name}, {mode}", [s["ranks"] for s in steps], [s["seconds"] for s in steps], modelled))
            cells += [(name, mode, s["ranks"], number(s["seconds"], 3), number(m, 3),
                       number(100 * (m / s["seconds"] - 1), 1)) for s, m in zip(steps, modelled)]
    target, predicted, inputs = scaling.get("target"), [], ""
    if target:
        machine = Machine(**{key: value for key, value in target.items()
                             if key not in ("flops_per_step", "gradient_bytes", "what")})
        predicted = [(mode, predict(machine, PREDICTED_GPUS, target["flops_per_step"] * (1 / 8 if mode == "weak" else 1),
                                    target["gradient_bytes"], mode)) for mode in ("strong", "weak")]
        inputs = f"Prediction for {target['what']}. Inputs: " + ", ".join(
            f"{key} {value:g}" for key, value in target.items() if key != "what") + "."
    parts = [note(f"A step's computing, shared among the ranks and the machine's cores, plus a ring all-reduce: fitted "
                  f"alpha {1e6 * alpha:.1f} µs a message, beta {1e9 * beta:.3f} ns a byte "
                  f"(analysis/parallel_model.py). One rank's time is the model's input, the others are its prediction."),
             picture(figures.parallel_scaling(series, predicted), "strong and weak scaling"),
             table(("stage", "scaling", "ranks", "measured [s]", "model [s]", "difference [%]"), cells, 2)]
    if predicted:
        parts += [note(inputs), table(("GPUs", "strong: step [s]", "efficiency [%]", "weak: step [s]", "efficiency [%]"),
                                      [(a[0], number(a[1], 4), number(100 * a[2]), number(b[1], 4), number(100 * b[2]))
                                       for a, b in zip(predicted[0][1], predicted[1][1])], 1)]
    return section(title, *parts)


def cost_section(directory, rows):
    totals, per_strategy = {}, {}
    for path in sorted(directory.rglob("cost.jsonl")):
        for line in read_jsonl(path) or []:
            total = totals.setdefault(line.get("stage", "?"), [0, 0.0, 0.0, 0.0, None, 0, 0, 0])
            total[0] += 1
            for at, key in ((1, "seconds"), (2, "core_seconds"), (3, "gpu_seconds"), (5, "tokens"), (6, "written_bytes")):
                total[at] += line.get(key) or 0
            if line.get("joules") is not None:
                total[4] = (total[4] or 0) + line["joules"]
            total[7] = max(total[7], line.get("peak_memory_bytes") or 0)
            for name, tokens in (line.get("strategy_tokens") or {}).items():
                per_strategy[name] = per_strategy.get(name, 0) + tokens
    if not totals:
        return section("Cost", missing("No cost.jsonl below the sweep."))
    cells = [(stage, t[0], number(t[1], 0), number(t[2] / 3600, 3), number(t[3] / 3600, 3), "–" if t[4] is None else number(t[4] / 1000, 1),
              f"{t[5]:,}" if t[5] else "–", f"{t[6] / 2**20:,.0f}", f"{t[7] / 2**30:.2f}") for stage, t in totals.items()]
    parts = [table(("stage", "times", "time [s]", "core-hours", "GPU-hours", "energy [kJ]", "tokens", "written [MiB]", "peak memory of a rank [GiB]"),
                   cells)]
    if per_strategy:
        parts.append(table(("strategy", "answer tokens made"), [(n, f"{t:,}") for n, t in per_strategy.items()]))
        parts.append(note("Answers that several strategies use count for each in equal parts."))
    return section("Cost", *parts)


def estimate_section(directory, rows):
    plan = read_json(directory / "plan.json")
    actual = {row["run"]: row["core_seconds"] / 3600 for row in rows if row["state"] == "done" and row.get("core_seconds")}
    pairs = [(r["name"], r["core_hours_at_most"], actual[r["name"]]) for r in (plan or {}).get("runs", [])
             if r.get("core_hours_at_most") and actual.get(r["name"])]
    if len(pairs) < 2:
        return ""
    ratio = sum(a for _, _, a in pairs) / sum(p for _, p, _ in pairs)
    return section(
        "Predicted and actual cost of the runs",
        note(f"Core-hours that `sweep --plan` expected at most of each run's training, and what the run used with its "
             f"evaluation. Together the runs used {ratio:.2f} times what was expected. {plan.get('estimate', '')}"),
        picture(figures.predicted_and_actual(pairs, "core-hours of a run"), "predicted and actual core-hours"))


def bytes_of(text):
    """A size of `sacct --units=K`: 1234K, 1234Kn (a node) or 1234Kc (a core); None where there is nothing."""
    digits = text.rstrip("ncK")
    return float(digits) * 1024 if digits.replace(".", "", 1).isdigit() else None


def accounts(path):
    """Slurm's jobs by name: tasks, seconds, core-seconds, what they asked for and took of memory [byte]."""
    lines = [line.split("|") for line in path.read_text(encoding="utf-8").splitlines()]
    jobs, names = {}, {}
    for row in (dict(zip(lines[0], line)) for line in lines[1:] if len(line) == len(lines[0])):
        job, _, step = row["JobID"].partition(".")
        if not step:
            names[job] = row["JobName"]
            total = jobs.setdefault(row["JobName"], {"tasks": 0, "seconds": 0, "core_seconds": 0, "asked": None, "memory": 0})
            total["tasks"] += 1
            total["seconds"] += int(row["ElapsedRaw"])
            total["core_seconds"] += int(row["ElapsedRaw"]) * int(row["AllocCPUS"])
            total["asked"] = bytes_of(row["ReqMem"]) or total["asked"]
        elif job in names:  # of a step Slurm knows the largest task
            total = jobs[names[job]]
            total["memory"] = max(total["memory"], bytes_of(row["MaxRSS"]) or 0)
    return jobs


def accounts_section(directory, rows):
    path = directory / "sacct.psv"
    jobs = accounts(path) if path.exists() else {}
    if not jobs:
        return ""
    runs = sum(job["core_seconds"] for name, job in jobs.items() if name.startswith("runs-"))
    gigabytes = lambda size: number(size / 2**30, 2) if size else "–"  # noqa: E731
    parts = [table(("jobs", "tasks", "time [s]", "core-hours", "asked memory [GiB]", "largest task [GiB]"),
                   [(name, job["tasks"], job["seconds"], number(job["core_seconds"] / 3600, 3), gigabytes(job["asked"]),
                     gigabytes(job["memory"])) for name, job in sorted(jobs.items())])]
    plan = read_json(directory / "plan.json") or {}
    planned = sum(run.get("core_hours_at_most") or 0 for run in plan.get("runs", []))
    used = sum(row.get("core_seconds") or 0 for row in rows)
    if runs and used:
        expected = f"the plan expected at most {planned:.2f}, " if planned else ""
        parts.append(note(f"Of the runs: {expected}Slurm counted {runs / 3600:.2f} core-hours of allocated cores, of which the "
                          f"program says it used {used / 3600:.2f}; the rest is starting and waiting."))
    return section("What Slurm counted (sacct)", *parts)


def runs_section(rows):
    cells = [(row["run"].split("/")[-1], row["mix"], row["instructions"] or "all", row["seed"], row["state"],
              share(row, "reward_accuracy"), number(row.get("loss"), 4), number(row.get("seconds"), 0), row.get("error") or "")
             for row in rows]
    return section("Runs", f"<details><summary>all {len(rows)} runs</summary>" + table(
        ("run", "mix", "instructions", "seed", "state", "reward accuracy [%]", "loss [nat]", "time [s]", "error"), cells, 2)
        + "</details>")


def page(directory):
    rows = read_results(directory)
    means = over_seeds(rows)
    done = sum(row["state"] == "done" for row in rows)
    base = next((row for row in rows if row.get("base_logps_accuracy") is not None), {})
    summary = (f"{len(rows)} runs, {done} done, {sum(r['state'] == 'failed' for r in rows)} failed; base model: "
               f"log-probability accuracy {share(base, 'base_logps_accuracy')} % on {base.get('base_n', '–')} held-out pairs")
    parts = [
        mixes_section(means, "single", "Each strategy alone (the paper's Figure 4)",
                      "One run a strategy beside the mix of all; strategies alone have fewer pairs than the mix."),
        mixes_section(means, "cumulative", "Strategies added one by one (the paper's Figure 3)",
                      "In the order of the config. Each step adds pairs as well as a strategy."),
        mixes_section(means, "leave_one_out", "One strategy left out", "All strategies but one."),
        controls_section(means), surface_section(rows), scaling_law_section(rows),
        scaling_machine_section(read_json(directory / "scaling.json")), estimate_section(directory, rows),
        accounts_section(directory, rows), cost_section(directory, rows), runs_section(rows)]
    return (f"<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport "
            f'content="width=device-width, initial-scale=1"><title>PopAlign campaign: {escape(directory.name)}</title>'
            f"<style>{STYLE}</style></head><body><main><header><h1>PopAlign campaign <em>{escape(directory.name)}</em></h1>"
            f"<p>{escape(summary)}</p></header>{''.join(parts)}</main></body></html>\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sweep", required=True, type=pathlib.Path, help="the sweep's run.directory")
    arguments = parser.parse_args()
    output = arguments.sweep / "report.html"
    try:
        text = page(arguments.sweep)
        temporary = output.with_suffix(".html.new")
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, output)
    except FileNotFoundError as error:
        sys.exit(f"campaign_report: {error.filename} is not there; run `popalign sweep --collect` first")
    except OSError as error:
        sys.exit(f"campaign_report: {error.filename}: {error.strerror}")
    print(output)


if __name__ == "__main__":
    main()
