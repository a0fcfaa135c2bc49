"""The figures of a campaign's report, each as an SVG text."""

import math

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from figures import GREY, LIGHT, OURS, svg

ACCENT = "#c2410c"
SEED_DOT = dict(color="#0f172a", s=9, zorder=3, linewidths=0)


def compact(value):
    """1,500 as 1.5k: numbers for crowded axes."""
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.3g}{letter}"
    return f"{value:.3g}"


def half_widths(rows, metric, scale):
    low = [scale * max(0.0, row[metric] - row.get(f"{metric}_lower", row[metric])) for row in rows]
    high = [scale * max(0.0, row.get(f"{metric}_upper", row[metric]) - row[metric]) for row in rows]
    return [low, high]


def bars(rows, metric, label, scale=100, reference=None, reference_label=""):
    """One horizontal bar a mix with its interval, and a dot for each seed."""
    figure, axes = plt.subplots(figsize=(8.6, 0.8 + 0.38 * len(rows)))
    at = np.arange(len(rows))[::-1]
    colors = [OURS if row["mix"] == "all" else GREY for row in rows]
    axes.barh(at, [scale * row[metric] for row in rows], 0.62, color=colors, xerr=half_widths(rows, metric, scale),
              ecolor="#334155", capsize=2.5, error_kw={"linewidth": 0.9})
    for y, row in zip(at, rows):
        values = row["values"].get(metric, [])
        if len(values) > 1:
            spread = np.linspace(-0.16, 0.16, len(values))
            axes.scatter([scale * v for v in values], y + spread, **SEED_DOT)
    if reference is not None:
        axes.axvline(scale * reference, color=ACCENT, linewidth=1, linestyle=(0, (4, 3)), label=reference_label)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.2)
    axes.set_yticks(at, [row.get("label", row["mix"]) for row in rows])
    axes.set_xlabel(label)
    axes.grid(axis="y", visible=False)
    return svg(figure)


def radar(rows, axes_metrics, behind=None):
    """A small radar chart a mix, all on the same scale; `behind` is drawn in grey in each. `axes_metrics`: (label,
    metric, scale, low, high) of each axis; its ends are written once."""
    columns = min(3, len(rows))
    lines = math.ceil(len(rows) / columns)
    figure, grid = plt.subplots(lines, columns, figsize=(9.8, 2.9 * lines), squeeze=False,
                                subplot_kw={"projection": "polar"})
    figure.get_layout_engine().set(w_pad=0.14, h_pad=0.08)  # [inch]: labels of neighbours stay apart
    angles = np.linspace(0, 2 * np.pi, len(axes_metrics), endpoint=False)
    closed = np.append(angles, angles[0])

    def outline(row):
        shares = [np.clip((scale * row[metric] - low) / (high - low), 0, 1)
                  for _, metric, scale, low, high in axes_metrics]
        return np.append(shares, shares[0])
    for axes, row in zip(grid.flat, rows):
        if behind is not None and behind is not row:
            axes.fill(closed, outline(behind), color=LIGHT, alpha=0.55, linewidth=0)
        axes.plot(closed, outline(row), color=OURS, linewidth=1.6)
        axes.fill(closed, outline(row), color=OURS, alpha=0.16, linewidth=0)
        axes.set_theta_offset(np.pi / 2)
        axes.set_theta_direction(-1)
        axes.set_xticks(angles, [label for label, *_ in axes_metrics], fontsize=7.5)
        for text, angle in zip(axes.get_xticklabels(), angles):
            side = math.sin(angle)
            text.set_horizontalalignment("center" if abs(side) < 0.1 else "left" if side > 0 else "right")
        axes.tick_params(axis="x", pad=-2)
        axes.set(ylim=(0, 1), yticks=[0, 0.5, 1])
        axes.set_yticklabels([])
        axes.spines["polar"].set_color("#cbd5e1")
        axes.set_title(row.get("label", row["mix"]), fontsize=9, pad=16, loc="center")
    for axes in list(grid.flat)[len(rows):]:
        axes.set_visible(False)
    return svg(figure)


def scaling_law(groups, x_label, y_label, symbol, extrapolate=8):
    """Points, fitted curves with bands, and residuals below. `groups`: (name, x, y, ScalingFit)."""
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(8.6, 5.0), sharex=True, height_ratios=[3, 1])
    colors = [OURS, ACCENT, "#4338ca", "#a16207", "#be185d", "#475569", "#0369a1"]
    for color, (name, x, y, fit) in zip(colors, groups):
        x, y = np.asarray(x, float), np.asarray(y, float)
        inside = np.geomspace(x.min(), x.max(), 80)
        beyond = np.geomspace(x.max(), x.max() * extrapolate, 40)
        for where, style in ((inside, "-"), (beyond, (0, (4, 3)))):
            low, high = fit.band(where)
            top.fill_between(where, low, high, color=color, alpha=0.13, linewidth=0)
            top.plot(where, fit.law(where), color=color, linewidth=1.5, linestyle=style)
        top.scatter(x, y, color=color, s=15, zorder=3, label=f"{name}: {fit.law.describe(symbol)}")
        bottom.scatter(x, 100 * fit.residuals, color=color, s=13)
    largest = max(np.max(x) for _, x, _, _ in groups)
    for axes in (top, bottom):
        axes.axvspan(largest, largest * extrapolate, color="#f1f5f9", zorder=0, linewidth=0)
    top.text(largest * 1.06, 0.97, "extrapolated", transform=top.get_xaxis_transform(), va="top", fontsize=8.5,
             color="#475569")
    handles, labels = top.get_legend_handles_labels()
    handles.append(Line2D([], [], color="#475569", linewidth=6, alpha=0.2))
    top.legend(handles, [*labels, "95 % interval of the curve"], loc="lower left", bbox_to_anchor=(0, 1.0),
               borderaxespad=0.2, fontsize=8.5)
    smallest = min(np.min(x) for _, x, _, _ in groups)
    top.set(xscale="log", ylabel=y_label, xlim=(smallest / 1.15, largest * extrapolate))
    bottom.axhline(0, color="#94a3b8", linewidth=0.8)
    bottom.set(xlabel=x_label, ylabel="residual [%]")
    ticks = sorted({float(v) for _, x, _, _ in groups for v in x})
    if len(ticks) <= 9:
        bottom.set_xticks(ticks, [compact(v) for v in ticks])
        bottom.minorticks_off()
    return svg(figure)


def response_surface(surface, label, scale=100):
    """Predicted response of pure strategies with intervals, and of even blends of two."""
    names, k = surface.strategies, len(surface.strategies)
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.6, 1.6 + 0.36 * k), width_ratios=[1.1, 1])
    mean, (low, high) = surface.predict(np.eye(k))
    at = np.arange(k)[::-1]
    left.errorbar(scale * mean, at, xerr=scale * np.array([mean - low, high - mean]).clip(0), fmt="o", color=OURS,
                  ecolor="#334155", capsize=3, linewidth=1)
    left.set_yticks(at, names)
    left.set(xlabel=f"{label}, one strategy alone", ylim=(-0.6, k - 0.4))
    blends = np.array([[scale * surface.predict((np.eye(k)[i] + np.eye(k)[j]) / 2)[0][0] for j in range(k)]
                       for i in range(k)])
    shown = right.imshow(blends, cmap="viridis")
    middle = (blends.min() + blends.max()) / 2
    for i in range(k):
        for j in range(k):
            right.text(j, i, f"{blends[i, j]:.1f}", ha="center", va="center", fontsize=7.5,
                       color="white" if blends[i, j] < middle else "black")
    right.set_xticks(range(k), names, rotation=35, ha="right", rotation_mode="anchor", fontsize=8)
    right.set_yticks(range(k), names, fontsize=8)
    right.set_title("half of each of two", loc="center")
    right.grid(visible=False)
    figure.colorbar(shown, ax=right, label=label, fraction=0.045)
    return svg(figure)


def parallel_scaling(series, predicted, title_unit="s a step"):
    """Measured and modelled step times, and efficiency predicted for many GPUs. `series`: (name, ranks, measured
    seconds, modelled seconds); `predicted`: (name, rows of parallel_model.predict)."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.6, 3.3))
    for color, (name, ranks, measured, modelled) in zip((OURS, ACCENT, "#4338ca"), series):
        left.plot(ranks, modelled, color=color, linewidth=1.3, label=f"{name}, model")
        left.scatter(ranks, measured, color=color, s=22, zorder=3, label=f"{name}, measured")
    left.set(xlabel="ranks", ylabel=f"time [{title_unit}]", xscale="log")
    counts = sorted({r for _, ranks, _, _ in series for r in ranks})
    left.set_xticks(counts, [str(c) for c in counts])
    left.minorticks_off()
    left.set_ylim(bottom=0)
    left.legend(fontsize=8)
    for color, (name, rows) in zip((OURS, ACCENT), predicted):
        right.plot([r for r, _, _ in rows], [100 * e for _, _, e in rows], marker="o", markersize=3.5, color=color,
                   linestyle=(0, (4, 3)), label=f"{name}, predicted")
    right.set(xlabel="GPUs", ylabel="efficiency [%]", xscale="log", ylim=(0, 105))
    if predicted:
        counts = [r for r, _, _ in predicted[0][1]]
        right.set_xticks(counts, [str(c) for c in counts], fontsize=7.5)
        right.minorticks_off()
        right.legend(fontsize=8, loc="lower left")
    return svg(figure)


def predicted_and_actual(pairs, label):
    """Points of (name, predicted, actual) around the line of agreement."""
    figure, axes = plt.subplots(figsize=(4.6, 3.6))
    values = [v for _, p, a in pairs for v in (p, a) if v > 0]
    ends = (min(values) / 1.5, max(values) * 1.5)
    axes.plot(ends, ends, color="#94a3b8", linewidth=1, label="as predicted")
    axes.scatter([p for _, p, _ in pairs], [a for _, _, a in pairs], color=OURS, s=16, zorder=3)
    axes.set(xscale="log", yscale="log", xlim=ends, ylim=ends, xlabel=f"predicted {label}", ylabel=f"actual {label}")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 3)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: compact(value)))
        axis.set_minor_formatter(NullFormatter())
    axes.set_aspect("equal")
    axes.legend(fontsize=8)
    return svg(figure)
