#!/usr/bin/env python3
"""Writes <run>/report.html, one self-contained file on what a run did, and prints its main figures."""

import argparse
import base64
import html
import json
import os
import pathlib
import sys
import types

import evaluation_report
import figures
from run_directory import read_run

STYLE = (pathlib.Path(__file__).parent / "report.css").read_text(encoding="utf-8")


def number(value, digits=1, scale=1):
    if value is None or value != value:
        return "–"
    return f"{scale * value:.{digits}f}"


def interval(entry, key):
    """A share with its 95 % interval, in per cent."""
    if not entry or entry.get(key) is None:
        return "–"
    text = number(entry[key], scale=100)
    if entry.get("lower") is not None and entry.get("upper") is not None:
        text += f" [{number(entry['lower'], scale=100)}, {number(entry['upper'], scale=100)}]"
    return text


def escape(value):
    return html.escape(str(value))


def table(heads, rows, text_columns=1):
    """The first `text_columns` columns are text, the others figures. Cells are escaped."""
    def cells(tag, values):
        return "".join(f"<{tag}{'' if i < text_columns else ' class=figure'}>{escape(v)}</{tag}>"
                       for i, v in enumerate(values))
    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f"<div class=scroll><table><thead><tr>{cells('th', heads)}</tr></thead><tbody>{body}</tbody></table></div>"


def picture(svg, description):
    data = base64.b64encode(svg.encode()).decode()
    return f'<img alt="{escape(description)}" src="data:image/svg+xml;base64,{data}">'


def missing(text):
    return f"<p class=missing>{escape(text)}</p>"


def section(title, *parts):
    return f"<section><h2>{escape(title)}</h2>{''.join(parts)}</section>"


def note(text):
    return f"<p class=note>{escape(text)}</p>"


# The functions with which other modules build their sections.
HTML = types.SimpleNamespace(number=number, interval=interval, table=table, picture=picture, section=section, note=note)


def cards(run):
    contrast = (run.contrast or {}).get("all")
    shown = [("contrast accuracy", interval(contrast, "accuracy"), "% of pairs, the judge for the chosen"),
             ("reward accuracy", interval((run.after or {}).get("all"), "accuracy"), "% of held-out pairs, after training"),
             ("win rate", interval(run.win_rate, "win_rate"), "% against the unaligned model"),
             ("pairs", run.pairs.pairs if run.pairs else "–",
              f"from {run.pairs.instructions} instructions" if run.pairs else "no pair file")]
    return "<div class=cards>" + "".join(
        f"<div><h3>{escape(name)}</h3><b>{escape(str(value).split(' [')[0])}</b>"
        f"<i>{escape('[' + str(value).split(' [')[1]) if ' [' in str(value) else '&nbsp;'}</i>"
        f"<p>{escape(what)}</p></div>" for name, value, what in shown) + "</div>"


def contrast_section(run):
    if not run.contrast or not run.contrast.get("strategies"):
        return section("Contrast accuracy", missing("No verdicts: contrast_accuracy.json is not there."))
    rows = [(name, interval(e, "accuracy"), e.get("n_valid", e.get("n", "–")), e.get("ties", "–"),
             number(e.get("position_consistency"), scale=100),
             *(number(paper.get(name)) for paper in figures.PAPER.values()))
            for name, e in [*run.contrast["strategies"].items(), ("all", run.contrast.get("all"))] if e]
    return section(
        "Contrast accuracy",
        note("How often the judge prefers the answer that its strategy means to be the better one. Every pair is "
             "shown in both orders; the bars have 95 % intervals."),
        picture(figures.contrast_accuracy(run.contrast), "contrast accuracy of each strategy"),
        table(("strategy", "accuracy [%]", "pairs", "ties", "same in both orders [%]", *figures.PAPER), rows),
        note(f"Judge: {run.contrast.get('judge', 'unknown')}, template {run.contrast.get('template', 'unknown')}. "
             "The paper's figures (table 2, 200 pairs a strategy) are of answers by 34B and 33B models under "
             "far stronger judges: they are for orientation, not to be compared point by point."))


def pairs_section(run):
    if not run.pairs:
        return section("Pairs", missing(run.pairs_problem))
    flags = [flag for flag in run.pairs.flags if any(s.flags[flag] for s in run.pairs.strategies)]
    rows = [(s.name, s.level, s.variant, s.pairs, s.usable, *(s.flags[flag] or "·" for flag in flags),
             f"{number(s.chosen_tokens, 0)} / {number(s.rejected_tokens, 0)}",
             f"{number(s.chosen_bytes, 0)} / {number(s.rejected_bytes, 0)}",
             number(s.chosen_longer, 0, 100)) for s in run.pairs.strategies]
    return section(
        "Pairs",
        note("Flagged pairs stay in the file and are counted here; flags without a column occur nowhere. "
             "Lengths are means, chosen / rejected."),
        table(("strategy", "level", "variant", "pairs", "unflagged", *flags, "tokens", "bytes",
               "chosen longer [%]"), rows, 3))


def training_section(run):
    if not run.metrics:
        return section("Training", missing("No training metrics: train/metrics.jsonl is not there."))
    steps = [row for row in run.metrics if "loss" in row]
    names = [("loss", 4), ("rewards/margins", 4), ("rewards/accuracies", 3), ("grad_norm", 3),
             ("perf/tokens_per_second", 0)]
    rows = [(name, number(steps[0].get(name), digits), number(steps[-1].get(name), digits))
            for name, digits in names if steps and name in steps[0]]
    return section(
        "Training", note("By TRL's names and definitions. At the first step policy and reference agree, so the "
                         "loss of DPO starts at ln 2."),
        picture(figures.training_curves(run.metrics), "training curves"),
        table(("metric", "first step", "last step"), rows) if rows else "")


def preference_section(run):
    title = "Reward accuracy on held-out pairs"
    absent = [name for name, value in (("before", run.before), ("after", run.after)) if not value]
    parts = [missing(f"evaluate/preference_{name}.json is not there.") for name in absent]
    if len(absent) < 2:
        rows = [(name, *preference_cells(first, second))
                for name, first, second in figures.before_after_rows(run.before, run.after)]
        parts += [note("How often the model's implicit reward puts the chosen answer above the rejected one, on "
                       "pairs whose instructions training never saw. Before training the policy is the reference: "
                       "all margins are zero, and there is no accuracy. The last two columns need no reference: how "
                       "often the chosen answer has the higher log-probability a token."),
                  picture(figures.held_out_accuracy(run.before, run.after), "accuracies on held-out pairs"),
                  table(("strategy", "pairs", "after training [%]", "margin after",
                         "log-prob. before [%]", "log-prob. after [%]"), rows)]
    return section(title, *parts)


def preference_cells(before, after):
    return ((after or before).get("n", "–"), interval(after, "accuracy"),
            number(after.get("margin"), 4), interval(before.get("logps"), "accuracy"),
            interval(after.get("logps"), "accuracy"))


def win_rate_section(run):
    if not run.win_rate:
        return section("Win rate", missing("evaluate/win_rate.json is not there."))
    w = run.win_rate
    return section(
        "Win rate", note("The judge compares the aligned model's answers to held-out instructions with the "
                         "unaligned model's, in both orders; a tie counts half."),
        table(("aligned", "unaligned", "judge", "win rate [%]", "answers", "ties", "same in both orders [%]"),
              [(*(pathlib.PurePath(w.get(name, "–")).name for name in ("model", "baseline", "judge")), interval(w, "win_rate"),
                w.get("n", "–"), w.get("ties", "–"), number(w.get("position_consistency"), scale=100))], 3))


def example_html(example):
    flags = f"<p class=flags>flagged: {escape(', '.join(example.flags))}</p>" if example.flags else ""
    thought = (f"<details><summary>thought, stripped from the chosen answer</summary>"
               f"<pre>{escape(example.thought)}</pre></details>") if example.thought else ""
    return (f"<article><p class=prompt>{escape(example.instruction)}</p>{flags}<div class=sides>"
            f"<div class=chosen><h4>chosen</h4><pre>{escape(example.chosen)}</pre>{thought}</div>"
            f"<div class=rejected><h4>rejected</h4><pre>{escape(example.rejected)}</pre></div></div></article>")


def examples_section(run):
    if not run.pairs:
        return section("Examples", missing(run.pairs_problem))
    return section("Examples", note("The first pairs of each strategy, unflagged ones before others; nothing is "
                                    "selected by what it says."),
                   *(f"<h3>{escape(name)}</h3>" + ("".join(map(example_html, examples))
                                                   or missing("no pairs"))
                     for name, examples in run.pairs.examples.items()))


def limits_section(run):
    points = ["It is a demonstration of the whole path in minutes. Models, sets and answers are tiny; its figures say "
              "that the stages work, not how good the method is.",
              "The intervals hold for the sampling of pairs alone, for one seed; another seed moves the figures.",
              "A small local judge is a weak judge: see how often it gives the same verdict in both orders."]
    if run.pairs:
        paths = {model["name"]: model["path"] for model in run.pairs.models}
        judge = (run.contrast or {}).get("judge")
        if judge in paths:
            points.append(f"The judge ({judge}) is one of the models whose answers it judges, and may prefer its own.")
        same = sorted(name for name, path in paths.items() if list(paths.values()).count(path) > 1)
        if same:
            points.append(f"The models {', '.join(same)} are the same file, so strategies that contrast with either "
                          "say the same.")
        truncated = sum(s.flags["truncated"] for s in run.pairs.strategies)
        if truncated:
            points.append(f"{truncated} of {run.pairs.pairs} pairs have an answer cut off at the token limit.")
    points.append("Held-out pairs are made by the same strategies as the training pairs: reward accuracy shows that the "
                  "contrast was learnt, not what people prefer.")
    return section("What this does not show", "<ul>" + "".join(f"<li>{escape(p)}</li>" for p in points) + "</ul>")


def provenance_section(run):
    parts = []
    if run.stages:
        parts.append(table(("stage", "ranks", "threads a rank", "time [s]"),
                           [(s.get("stage"), s.get("ranks", "–"), s.get("threads", "–"), s.get("seconds", "–"))
                            for s in run.stages]))
    else:
        parts.append(missing("The stages' times are not there (stages.jsonl, which the quick start writes)."))
    if not run.pairs:
        return section("How it was made", *parts, missing(run.pairs_problem))
    parts.append(table(("model", "file", "parameters", "SHA-256"),
                       [(m["name"], pathlib.PurePath(m["path"]).name, f"{m['parameters']:,}", m["sha256"][:16] + "…")
                        for m in run.pairs.models], 2))
    parts.append(table(("provenance of pairs.h5", ""), [
        (key, value if isinstance(value, str) else json.dumps(value))
        for key, value in run.pairs.provenance.items()], 2))
    parts.append(f"<details><summary>effective configuration</summary><pre>{escape(run.pairs.config)}</pre></details>")
    return section("How it was made", *parts)


def summary_line(run):
    provenance = run.pairs.provenance if run.pairs else {}
    facts = [f"{key} {provenance[key]}" for key in ("version", "commit", "ranks", "time") if provenance.get(key)]
    return " · ".join([str(run.directory), *facts])


def page(run):
    parts = [cards(run), contrast_section(run), pairs_section(run), training_section(run), preference_section(run),
             win_rate_section(run), evaluation_report.judges_section(run, HTML),
             evaluation_report.benchmarks_section(run, HTML), examples_section(run), limits_section(run), provenance_section(run)]
    return (f"<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport "
            f'content="width=device-width, initial-scale=1"><title>PopAlign: {escape(run.directory.name)}</title>'
            f"<style>{STYLE}</style></head><body><main><header><h1>PopAlign run <em>{escape(run.directory.name)}</em>"
            f"</h1><p>{escape(summary_line(run))}</p></header>{''.join(parts)}</main></body></html>\n")


def print_summary(run):
    print(f"{'strategy':<15}{'contrast accuracy [%]':>24}{'judged':>10}{'pairs':>7}{'unflagged':>11}")
    counts = {s.name: s for s in run.pairs.strategies} if run.pairs else {}
    strategies = (run.contrast or {}).get("strategies", {})
    for name in strategies or counts:
        entry, count = strategies.get(name), counts.get(name)
        print(f"{name:<15}{interval(entry, 'accuracy'):>24}{(entry or {}).get('n_valid', '–'):>10}"
              f"{count.pairs if count else '–':>7}{count.usable if count else '–':>11}")
    print(f"{'all':<15}{interval((run.contrast or {}).get('all'), 'accuracy'):>24}")
    first, second = ((side or {}).get("all") or {} for side in (run.before, run.after))
    print(f"reward accuracy on held-out pairs [%]: {interval(second, 'accuracy')}")
    print(f"log-probability a token higher for the chosen answer [%]: before {interval(first.get('logps'), 'accuracy')}, "
          f"after {interval(second.get('logps'), 'accuracy')}")
    print(f"win rate of aligned against unaligned [%]: {interval(run.win_rate, 'win_rate')}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True, type=pathlib.Path, help="the run's directory")
    parser.add_argument("--examples", type=int, default=2, help="example pairs shown for each strategy (2)")
    arguments = parser.parse_args()
    if not arguments.run.is_dir():
        sys.exit(f"report: {arguments.run} is not a directory; give the run.directory of a config")
    run = read_run(arguments.run, arguments.examples)
    output = arguments.run / "report.html"
    try:
        temporary = output.with_suffix(".html.new")
        temporary.write_text(page(run), encoding="utf-8")
        os.replace(temporary, output)
    except OSError as error:
        sys.exit(f"report: {output}: {error.strerror}")
    print_summary(run)
    print(f"report: {output}")


if __name__ == "__main__":
    main()
