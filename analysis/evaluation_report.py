"""The report's parts on judges and benchmarks: figures as SVG texts, and the sections that hold them."""

import math

import matplotlib.pyplot as plt

import figures

TITLES = {"alpaca-eval": "AlpacaEval", "arena-hard": "Arena-Hard", "hh-rlhf": "HH-RLHF", "mt-bench": "MT-Bench"}
JUDGE_COLORS = ("#0f766e", "#c2410c", "#4338ca", "#a16207", "#be185d", "#0369a1")


def judge_names(judges):
    """What judges are called; with their template where one model has several."""
    names = [judge["judge"] for judge in judges]
    return [f"{judge['judge']} ({judge['template']})" if names.count(judge["judge"]) > 1 else judge["judge"]
            for judge in judges]


def contrast_by_judge(contrast):
    """Contrast accuracy of every strategy by every judge, beside the paper's two."""
    judges = contrast["judges"]
    names = list(judges[0]["strategies"])
    papers = figures.PAPER.items()
    figure, axes = plt.subplots(figsize=(9.4, 3.6))
    width = 0.84 / (len(judges) + len(papers))
    rows = range(len(names))
    offset = [(i - (len(judges) + len(papers) - 1) / 2) * width for i in range(len(judges) + len(papers))]
    for place, (judge, label) in enumerate(zip(judges, judge_names(judges))):
        entries = [judge["strategies"].get(name, {}) for name in names]
        entries = [entry if entry.get("n_valid", 1) else {"accuracy": None} for entry in entries]
        axes.bar([i + offset[place] for i in rows], [figures.percent(e.get("accuracy")) for e in entries], width,
                 color=JUDGE_COLORS[place % len(JUDGE_COLORS)], label=label, ecolor="#0f172a", capsize=2,
                 yerr=[[0.0 if math.isnan(v) else v for v in side] for side in figures.error_bars(
                     [e if e.get("accuracy") is not None else {"accuracy": 0.0} for e in entries], "accuracy")],
                 error_kw={"linewidth": 0.9})
    for place, (label, values) in enumerate(papers, len(judges)):
        axes.bar([i + offset[place] for i in rows], [values.get(name, math.nan) for name in names], width,
                 color=(figures.GREY, figures.LIGHT)[place - len(judges)], label=label)
    axes.axhline(50, color="#0f172a", linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set(ylim=(0, 100), ylabel="contrast accuracy [%]", xticks=list(rows))
    axes.set_xticklabels(names)
    axes.grid(axis="x", visible=False)
    axes.legend(ncols=len(judges) + len(papers), loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.2,
                fontsize=8.5)
    return figures.svg(figure)


def judge_against_judge(contrast):
    """Cohen's kappa of every two judges, and how many pairs it is from."""
    names = judge_names(contrast["judges"])
    size = len(names)
    kappas, counts = [[math.nan] * size for _ in names], [[0] * size for _ in names]
    for entry in contrast["agreement"]:
        first, second = entry["judges"]
        kappas[first][second] = kappas[second][first] = entry["kappa"] if entry["n"] else math.nan
        counts[first][second] = counts[second][first] = entry["n"]
    figure, axes = plt.subplots(figsize=(1.8 + 1.15 * size, 1.1 + 0.75 * size))
    axes.imshow(kappas, vmin=-1, vmax=1, cmap="BrBG", aspect="auto")
    for row in range(size):
        for column in range(size):
            text = "·" if row == column else "–" if math.isnan(kappas[row][column]) else \
                f"{kappas[row][column]:.2f}\nn = {counts[row][column]}"
            strong = row != column and not math.isnan(kappas[row][column]) and abs(kappas[row][column]) > 0.6
            axes.text(column, row, text, ha="center", va="center", fontsize=8.5, color="white" if strong else "#0f172a")
    axes.set(xticks=range(size), yticks=range(size), title="Cohen's kappa between judges")
    axes.set_xticklabels(names), axes.set_yticklabels(names)
    axes.grid(visible=False)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    return figures.svg(figure)


def win_rate_rows(benchmarks, win_rate):
    """(label, value, lower, upper, n) in per cent, of everything that compares with a baseline."""
    rows = []

    def add(label, entry, scale, value, lower="lower", upper="upper"):
        rows.append((label, *(scale * entry[key] for key in (value, lower, upper)), entry.get("n_valid", entry.get("n"))))

    if win_rate:
        add("held-out instructions", win_rate, 100, "win_rate")
    for name, result in benchmarks.items():
        title = TITLES.get(name, name)
        if "length_controlled_winrate" in result:  # these figures are per cent already
            add(title, result, 1, "win_rate")
            if result["length_controlled_winrate"] is not None:
                add(f"{title}, length-controlled", result, 1, "length_controlled_winrate", "lc_lower", "lc_upper")
        elif "style_controlled_score" in result:
            add(title, result, 1, "score")
            add(f"{title}, style-controlled", result, 1, "style_controlled_score", "style_controlled_lower",
                "style_controlled_upper")
        elif "win_rate" in result:
            for category, entry in (result.get("categories") or {"": result}).items():
                add(f"{title} {category}".rstrip(), entry, 100, "win_rate")
    return rows


def is_rating(result):
    return "score" in result and "style_controlled_score" not in result


def dots(rows, limits, label, reference=None):
    """A dot with its interval for each of (label, value, lower, upper, n)."""
    figure, axes = plt.subplots(figsize=(7.6, 0.9 + 0.36 * len(rows)))
    for place, (_, value, lower, upper, _) in enumerate(rows):
        axes.errorbar(value, place, fmt="o", color=figures.OURS, markersize=6, capsize=2.5, elinewidth=1.2,
                      xerr=[[max(0.0, value - lower)], [max(0.0, upper - value)]])
    if reference is not None:
        axes.axvline(reference, color="#64748b", linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set(xlim=limits, ylim=(len(rows) - 0.5, -0.5), yticks=range(len(rows)), xlabel=label)
    axes.set_yticklabels([f"{name} (n = {n})" for name, *_, n in rows])
    axes.grid(axis="y", visible=False)
    return figures.svg(figure)


def rating_rows(result):
    """All questions first, then the categories."""
    entries = [("all", result), *result.get("categories", {}).items()]
    return [(name, e["score"], e["lower"], e["upper"], e["n_valid"]) for name, e in entries if e.get("score") is not None]


def judges_section(run, html):
    """Judge against judge; nothing where the pairs have a single judge."""
    judges = (run.contrast or {}).get("judges", [])
    if len(judges) < 2:
        return ""
    rows = [(name, j["template"] or "–", html.interval(j["all"], "accuracy"), j["all"]["n_valid"],
             html.number(j["all"]["position_consistency"], scale=100),
             html.number(j["all"].get("equal_length_accuracy"), scale=100),
             sum(j["all"].get("dropped_verdicts", {}).values()))
            for name, j in zip(judge_names(judges), judges)]
    return html.section(
        "Judges", html.note("The same pairs by every judge that was asked, and how far each two agree beyond chance."),
        html.picture(contrast_by_judge(run.contrast), "contrast accuracy of each strategy by each judge"),
        html.table(("judge", "template", "accuracy [%]", "pairs", "same in both orders [%]", "at equal length [%]",
                    "verdicts lost"), rows, 2),
        html.picture(judge_against_judge(run.contrast), "agreement between judges"))


def benchmarks_section(run, html):
    parts = []
    rows = win_rate_rows(run.benchmarks, run.win_rate)
    if run.benchmarks and rows:
        parts.append(html.picture(dots(rows, (0, 100), "win rate over the baseline [%]", 50), "win rates"))
    for name, result in run.benchmarks.items():
        if is_rating(result) and rating_rows(result):
            title = TITLES.get(name, name)
            parts.append(html.picture(dots(rating_rows(result), (1, 10), f"{title} rating, all turns"),
                                      f"{title} by category"))
    if not parts:
        return html.section("Benchmarks", html.note("None was run; `popalign evaluate --help` lists them."))
    facts = [(name, result.get("baseline") or "–", result.get("judge", "–"), result.get("template", "–"), result["n"],
              sum(result.get("dropped", {}).values())) for name, result in run.benchmarks.items()]
    return html.section(
        "Benchmarks", html.note("With 95 % intervals. Figures of different judges or baselines cannot be compared; "
                                "a small local judge gives no published figure."),
        *parts, html.table(("benchmark", "baseline", "judge", "template", "items", "judgements lost"), facts, 4))
