"""Which parameters matter: `importance.png`, and the two that matter most as `map.png`."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from gansearch.analysis.draw.parameter import number_axis
from gansearch.analysis.draw.style import (
    BEST,
    BROKEN,
    CUT,
    FULL,
    HALO,
    INK,
    characters,
    legend_below,
    mark_handles,
    style_axes,
    titled,
)
from gansearch.analysis.info.common_rung import CommonRung, common_rung
from gansearch.analysis.info.curves import is_wide
from gansearch.analysis.info.importance import LEAST_TRIALS, ImportanceInfo, importance_info
from gansearch.analysis.info.pair import PairInfo, strongest_pair
from gansearch.analysis.info.parameters import Axis
from gansearch.analysis.info.trials import state_text
from gansearch.analysis.labels import fit_label, fit_labels
from gansearch.analysis.plots.base import Plot
from gansearch.registry import component
from gansearch.run import Run

_NAME = 36  # characters of a parameter's name beside a plot


@component
class Importance(Plot):
    """The share of the differences between FIDs that each parameter explains, and a map of the two strongest."""

    def figures(self, run: Run) -> Iterator[tuple[str, Figure]]:
        rung, name = common_rung(run), run.manifest.name
        if not run.manifest.space.params or not rung.can_compare:
            return
        info, state = importance_info(rung, run.manifest.space), state_text(run)
        yield "importance", _importance(name, rung, info, state)
        pair = strongest_pair(info, rung, run.manifest.space)
        if pair is not None:
            yield "map", _map(name, rung, pair, state)


def _importance(run: str, rung: CommonRung, info: ImportanceInfo, state: str | None) -> Figure:
    figure = Figure(figsize=(8, 2.1 + 0.36 * max(2, len(info.parameters))), layout="constrained")
    axes: Any = figure.add_subplot()
    all_trials = len(rung.trials)
    sample = f"{info.trials} of these {all_trials} trials, drawn at random" if info.trials < all_trials else None
    verdict = info.verdict if info.parameters else None
    titled(axes, run, "which parameters matter?", str(rung), sample, verdict, state)
    if not info.parameters:
        text = f"not enough trials: {info.trials} at this length, an estimate needs {LEAST_TRIALS}"
        axes.text(0.5, 0.5, text, ha="center", va="center", color=INK)
        axes.set_axis_off()
        return figure
    style_axes(axes, "share of the variance of log FID\nthat the parameter explains alone (fANOVA)")
    axes.grid(visible=False, axis="y")
    rows = info.parameters
    for at, row in enumerate(rows):
        low, high = row.interval
        axes.barh(at, row.share, color=FULL if row.share > info.chance else CUT, height=0.62, zorder=2)
        axes.plot([low, high], [at, at], color=INK, linewidth=1.4, zorder=3)
        axes.plot([low, high], [at, at], "|", color=INK, markersize=8, zorder=3)
    axes.axvline(info.chance, color=BROKEN, linestyle=(0, (4, 3)), linewidth=1.4, zorder=1.5)
    where = [
        "\n" + fit_label(f"(n={row.trials}, where {row.only_where})", _NAME) if row.only_where else "" for row in rows
    ]
    paths = fit_labels([row.path for row in rows], _NAME)
    axes.set_yticks(range(len(rows)), [f"{path}{text}" for path, text in zip(paths, where, strict=True)])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, 1.04 * max(info.chance, *(row.interval[1] for row in rows)) or 1.0)
    interval = Line2D([], [], color=INK, marker="|", markersize=8, label="95 % interval (bootstrap)")
    chance = Line2D([], [], color=BROKEN, linestyle=(0, (4, 3)), label="random numbers stay below (95 %)")
    legend_below(figure, [interval, chance])
    return figure


def _map(run: str, rung: CommonRung, pair: PairInfo, state: str | None) -> Figure:
    figure = Figure(figsize=(8, 5.6), layout="constrained")
    axes: Any = figure.add_subplot()
    style_axes(axes, fit_label(pair.x.path, characters(axes, size=10), 2))
    axes.set_ylabel(fit_label(pair.y.path, characters(axes, side="y", size=10), 2), color=INK)
    axes.grid(visible=False)
    for side, axis in (("x", pair.x), ("y", pair.y)):
        _scale(axis, axes, side)
    fids = [trial.fid for _, _, trial in pair.points if not trial.has_diverged_before]
    low, high = np.quantile(fids, [0.02, 0.98]) if fids else (1.0, 2.0)
    if low == high:  # matplotlib would choose another range for points than for fields
        high = low + (0.05 * abs(low) or 1.0)
    norm: Normalize = (LogNorm if is_wide(fids) and low > 0 else Normalize)(low, high)
    colours = colormaps["viridis"]
    for field in pair.fields:
        colour = colours(norm(min(field.median, high)))
        size = field.right - field.left, field.top - field.bottom
        axes.add_patch(Rectangle((field.left, field.bottom), *size, facecolor=colour, alpha=0.55, linewidth=0))
    _draw_points(pair, axes, colours, norm)
    bar = figure.colorbar(ScalarMappable(norm, colours), ax=axes, extend="both", pad=0.02)
    bar.set_label("FID (point: trial; field: median)", color=INK)
    bar.ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    bar.ax.yaxis.set_minor_formatter(lambda value, _: f"{value:g}")
    bar.ax.tick_params(which="both", labelsize=8)
    titled(axes, run, "where do the two strongest parameters work together?", str(rung), state)
    legend_below(figure, mark_handles(trial for _, _, trial in pair.points))
    return figure


def _scale(axis: Axis, axes: Any, side: str) -> None:
    if axis.choices is None:
        return number_axis(axis, axes, side)
    ticks, limits = (axes.set_xticks, axes.set_xlim) if side == "x" else (axes.set_yticks, axes.set_ylim)
    count = len(axis.choices)
    ticks(range(count), fit_labels(axis.choices, characters(axes, count) if side == "x" else _NAME // 2, 2))
    return limits(-0.5, count - 0.5)


def _draw_points(pair: PairInfo, axes: Any, colours: Any, norm: Normalize) -> None:
    rng = np.random.default_rng(0)
    shifts = rng.uniform(-0.35, 0.35, (len(pair.points), 2))
    shifts *= [pair.x.choices is not None, pair.y.choices is not None]
    places = [(x + dx, y + dy, trial) for (x, y, trial), (dx, dy) in zip(pair.points, shifts, strict=True)]
    size = float(np.interp(math.log10(max(1, len(places))), [1.5, 3.5], [40, 5]))
    plain = [(x, y, trial.fid) for x, y, trial in places if not (trial.has_diverged_before or trial.is_best)]
    if plain:
        x, y, fid = zip(*plain, strict=True)
        axes.scatter(x, y, s=size, c=fid, cmap=colours, norm=norm, edgecolors="white", linewidths=0.4, zorder=2)
    for x, y, trial in places:
        if trial.has_diverged_before:
            axes.plot(x, y, "X", color=BROKEN, markersize=7, markeredgecolor="white", zorder=3)
        elif trial.is_best:
            axes.plot(x, y, "*", color=BEST, markersize=15, markeredgecolor="white", zorder=5)
        elif trial.baseline:
            axes.plot(x, y, "D", color=colours(norm(trial.fid)), markersize=7, markeredgecolor=INK, zorder=4)
            text = {"fontsize": 8, "color": INK, "path_effects": HALO, "zorder": 6, "textcoords": "offset points"}
            axes.annotate(trial.baseline, (x, y), xytext=(6, 3), **text)
