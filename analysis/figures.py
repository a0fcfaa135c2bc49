"""The report's figures, each as an SVG text."""

import io
import math

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

# Contrast accuracy in the paper [%], 200 pairs each: arXiv 2410.13785, table 2.
PAPER = {"GPT-4 (paper)": {"prefix": 75.5, "demonstration": 76.5, "elicitive": 91.5, "nparam": 88.0,
                           "leaderboard": 84.0, "refine": 55.5},
         "PairRM (paper)": {"prefix": 56.5, "demonstration": 65.5, "elicitive": 85.5, "nparam": 73.0,
                            "leaderboard": 65.5, "refine": 50.5}}
OURS, GREY, LIGHT, GOOD, BAD = "#0f766e", "#94a3b8", "#cbd5e1", "#0f766e", "#c2410c"

plt.rcParams.update({
    "font.size": 9.5, "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#94a3b8",
    "axes.labelcolor": "#334155", "xtick.color": "#475569", "ytick.color": "#475569",
    "axes.titlesize": 10.5, "axes.titlelocation": "left", "axes.titlecolor": "#0f172a",
    "axes.grid": True, "grid.color": "#e2e8f0", "grid.linewidth": 0.7, "axes.axisbelow": True,
    "legend.frameon": False, "svg.hashsalt": "popalign", "figure.constrained_layout.use": True})


def svg(figure):
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    plt.close(figure)
    return buffer.getvalue()


def percent(value):
    return float("nan") if value is None else 100 * value


def error_bars(entries, key):
    """Distances from `key` to the ends of the interval, in per cent, as matplotlib wants them."""
    low = [max(0.0, percent(e[key]) - percent(e.get("lower", e[key]))) for e in entries]
    high = [max(0.0, percent(e.get("upper", e[key])) - percent(e[key])) for e in entries]
    return [low, high]


def contrast_accuracy(contrast):
    strategies = contrast["strategies"]
    names = list(strategies)
    entries = list(strategies.values())
    figure, axes = plt.subplots(figsize=(8.6, 3.4))
    width = 0.27
    rows = range(len(names))
    axes.bar([i - width for i in rows], [percent(e["accuracy"]) for e in entries], width, color=OURS,
             label="this run", yerr=error_bars(entries, "accuracy"), ecolor="#0f172a", capsize=3,
             error_kw={"linewidth": 1})
    for offset, color, (label, figures) in zip((0, width), (GREY, LIGHT), PAPER.items()):
        axes.bar([i + offset for i in rows], [figures.get(name, math.nan) for name in names], width,
                 color=color, label=label)
    axes.axhline(50, color="#0f172a", linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set(ylim=(0, 100), ylabel="contrast accuracy [%]", xticks=list(rows))
    axes.set_xticklabels(names)
    axes.grid(axis="x", visible=False)
    axes.legend(ncols=3, loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.2)
    return svg(figure)


# Title, metrics with their labels and colours, and a reference line with its label.
PANELS = [
    ("Loss", [("loss", "training", OURS), ("eval_loss", "held out", BAD)], (math.log(2), "ln 2")),
    ("Reward of the answers", [("rewards/chosen", "chosen", GOOD), ("rewards/rejected", "rejected", BAD)],
     (0, "")),
    ("Reward margin", [("rewards/margins", "training", OURS), ("eval_rewards/margins", "held out", BAD)],
     (0, "")),
    ("Reward accuracy", [("rewards/accuracies", "training", OURS),
                         ("eval_rewards/accuracies", "held out", BAD)], (0.5, "chance")),
    ("Gradient norm, before clipping", [("grad_norm", "", OURS)], None),
    ("Learning rate", [("learning_rate", "", OURS)], None),
]


def training_curves(metrics):
    figure, grid = plt.subplots(2, 3, figsize=(10.2, 5.0))
    for axes, (title, lines, reference) in zip(grid.flat, PANELS):
        drawn = 0
        for key, label, color in lines:
            points = [(row["step"], row[key]) for row in metrics
                      if isinstance(row.get(key), (int, float)) and "step" in row]
            if points:
                axes.plot(*zip(*points), color=color, label=label, linewidth=1.7,
                          marker="o" if len(points) < 40 else None, markersize=3.2)
                drawn += 1
        if reference and drawn:
            axes.axhline(reference[0], color="#64748b", linewidth=0.8, linestyle=(0, (4, 3)),
                         label=reference[1] or None)
        if not drawn:
            axes.text(0.5, 0.5, "not logged", transform=axes.transAxes, ha="center", color=GREY)
        elif any(label for _, label in zip(*axes.get_legend_handles_labels())):
            axes.legend(fontsize=8)
        axes.set(title=title, xlabel="step")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.ticklabel_format(axis="y", scilimits=(-3, 4), useOffset=False)
    return svg(figure)


def before_after_rows(before, after):
    """(name, figures before, figures after) of all pairs and of each strategy; absent ones are {}."""
    before, after = before or {}, after or {}
    rows = [("all", before.get("all", {}), after.get("all", {}))]
    names = (after or before).get("strategies", {})
    return rows + [(name, before.get("strategies", {}).get(name, {}), after.get("strategies", {}).get(name, {}))
                   for name in names]


def held_out_accuracy(before, after):
    """By strategy, with intervals: the accuracy of the log-probability a token before and after training, and the
    implicit reward's after it."""
    rows = before_after_rows(before, after)
    figure, axes = plt.subplots(figsize=(7.6, 0.8 + 0.42 * len(rows)))
    series = (("log-probability a token, before", lambda first, _: first.get("logps"),
               {"markerfacecolor": "white", "color": GREY}),
              ("and after", lambda _, second: second.get("logps"), {"color": GREY}),
              ("reward, after", lambda _, second: second, {"color": OURS}))
    for at, (label, entry_of, style) in enumerate(series):
        for place, (_, first, second) in enumerate(rows):
            entry = entry_of(first, second)
            if entry and entry.get("accuracy") is not None:
                axes.errorbar(percent(entry["accuracy"]), place + 0.2 * (at - 1), fmt="o", markersize=6, capsize=2.5,
                              xerr=[[side[0]] for side in error_bars([entry], "accuracy")],
                              elinewidth=1.2, **style)
        axes.errorbar([], [], fmt="o", label=label, **style)
    axes.axvline(50, color="#64748b", linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set(xlim=(-2, 102), ylim=(len(rows) - 0.5, -0.5), yticks=range(len(rows)),
             xlabel="chosen answer above the rejected one [% of held-out pairs]")
    axes.set_yticklabels([name for name, _, _ in rows])
    axes.grid(axis="y", visible=False)
    axes.legend(ncols=3, loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.2)
    return svg(figure)
