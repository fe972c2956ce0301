"""Draws FID at the common rung against one parameter."""

import math
from typing import Any

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator

from gansearch.analysis.draw.style import (
    BEST,
    BOX,
    HALO,
    INK,
    MUTED,
    characters,
    mark_diverged,
    mark_handles,
    plain_ticks,
    stage_colours,
    stage_handles,
    style_axes,
)
from gansearch.analysis.info.common_rung import CommonRung
from gansearch.analysis.info.parameters import Axis, ParamInfo
from gansearch.analysis.info.statistics import Box
from gansearch.analysis.labels import fit_label, fit_labels

_TREND, _INTERVAL = "#24292f", "#8fa3b8"


def draw_parameter(info: ParamInfo, rung: CommonRung, axes: Any, limits: tuple[float, float]) -> None:
    """Draws `info` on a matplotlib Axes: a scatter and a trend for a number, boxes and their points for choices.

    The FID axis reaches over `limits`.
    """
    words = [info.axis.path, *([f"(where {info.axis.only_where})"] if info.axis.only_where else [])]
    style_axes(axes, "\n".join(fit_label(text, characters(axes, size=10), 2) for text in words), info.log_fid)
    axes.set_ylabel("FID", color=INK)
    axes.set_ylim(*limits)
    if info.axis.choices is None:
        number_axis(info.axis, axes)
    if info.columns:
        _column_axis(info, axes)
    for column in info.columns:
        if column.box is not None:
            _draw_box(column.box, column.x, 0.32 * _step(info), axes, limits[1])
    _draw_trend(info, axes)
    _draw_points(info, rung, axes)


def fid_limits(rung: CommonRung, log: bool) -> tuple[float, float]:
    """Returns the ends of a FID axis that shows all trials of the common rung, with room for marks at its top."""
    fids = [trial.fid for trial in rung.measured]
    low, high = min(fids, default=1.0), max(fids, default=2.0)
    if log:
        margin = max(math.log(high / low), 0.1)
        return low * math.exp(-0.06 * margin), high * math.exp(0.12 * margin)
    margin = max(high - low, 0.02 * abs(high), 1e-6)
    return low - 0.06 * margin, high + 0.12 * margin


def _draw_points(info: ParamInfo, rung: CommonRung, axes: Any) -> None:
    placed = list(zip(_spread(info), (point.trial for point in info.points), strict=True))
    colours = stage_colours(rung)
    plain = [
        (x, trial.fid, colours[rung.stage(trial.reached)])
        for x, trial in placed
        if not (trial.has_diverged_before or trial.is_best or trial.baseline)
    ]
    if plain:
        xs, fids, shades = zip(*plain, strict=True)
        size = float(np.interp(math.log10(len(plain)), [1.5, 3.5], [34, 4]))
        edge = {"linewidths": 0.4 if size > 15 else 0.0, "edgecolors": "white"}
        axes.scatter(xs, fids, s=size, c=shades, alpha=0.9 if size > 15 else 0.75, zorder=3, **edge)
    diverged = [x for x, trial in placed if trial.has_diverged_before]
    if diverged:
        mark_diverged(diverged, axes)
    baselines = [(x, trial) for x, trial in placed if trial.baseline and not trial.has_diverged_before]
    for at, (x, trial) in enumerate(sorted(baselines, key=lambda one: one[1].fid)):
        _mark_baseline(str(trial.baseline), x, trial.fid, info.axis, axes, above=at % 2 == 1)
    for x, trial in placed:
        if trial.is_best:
            axes.plot(x, trial.fid, "*", color=BEST, markersize=14, markeredgecolor="white", zorder=6)


def _mark_baseline(name: str, x: float, fid: float, axis: Axis, axes: Any, above: bool) -> None:
    """Marks a baseline and names it, on the side of the mark that has more room, a little above or below."""
    axes.plot(x, fid, "D", color="white", markersize=6, markeredgecolor=INK, zorder=5)
    is_right = axis.is_right(x)
    place = {"xytext": (-6 if is_right else 6, 3 if above else -9), "ha": "right" if is_right else "left"}
    text = {"fontsize": 8, "color": INK, "path_effects": HALO, "zorder": 6, "textcoords": "offset points"}
    axes.annotate(name, (x, fid), **place, **text)


def number_axis(axis: Axis, axes: Any, side: str = "x") -> None:
    """Shows the whole domain along `side`, with a margin so that points at the ends of the domain are not cut."""
    low, high = axis.limits
    ticks, set_limits = (axes.xaxis, axes.set_xlim) if side == "x" else (axes.yaxis, axes.set_ylim)
    if axis.log:
        (axes.set_xscale if side == "x" else axes.set_yscale)("log")
        decades = math.log10(high / low)
        plain_ticks(ticks, (1.0, 2.0, 5.0) if decades < 2 else (1.0, 3.0) if decades < 3 else (1.0,))
        margin = 10 ** (0.05 * decades or 0.1)
        set_limits(low / margin, high * margin)
    else:
        margin = 0.05 * (high - low) or 0.5
        set_limits(low - margin, high + margin)
        if axis.is_whole:
            ticks.set_major_locator(MaxNLocator(integer=True))


def _column_axis(info: ParamInfo, axes: Any) -> None:
    """Names the columns along x, with the number of trials under each."""
    names, count = info.axis.choices or [f"{column.x:g}" for column in info.columns], len(info.columns)
    size = 9 if count <= 6 and max(map(len, names)) <= 2 * characters(axes, count) else 7
    names = fit_labels(names, characters(axes, count, size=size), 3)
    labels = [f"{name}\nn={column.trials}" for name, column in zip(names, info.columns, strict=True)]
    axes.set_xticks([column.x for column in info.columns], labels, fontsize=size)
    margin = 0.6 * _step(info)
    axes.set_xlim(info.columns[0].x - margin, info.columns[-1].x + margin)
    axes.grid(visible=False, axis="x")


def _step(info: ParamInfo) -> float:
    """Returns the distance of two columns."""
    return info.columns[1].x - info.columns[0].x if len(info.columns) > 1 else 1.0


def _draw_box(box: Box, at: float, half: float, axes: Any, top: float) -> None:
    """Draws the quartiles as a box, and the 95 % interval of the median as a dark bar; `half` is half the width."""
    first, median, third = (min(value, top) for value in box.quartiles)
    low, high = (min(value, top) for value in box.interval)
    axes.add_patch(Rectangle((at - half, first), 2 * half, third - first, facecolor=BOX, edgecolor=MUTED, zorder=1))
    axes.add_patch(
        Rectangle((at - half / 2, low), half, high - low, facecolor=_INTERVAL, alpha=0.8, zorder=2, linewidth=0)
    )
    axes.plot([at - half, at + half], [median, median], color=INK, linewidth=1.8, zorder=4)


def _draw_trend(info: ParamInfo, axes: Any) -> None:
    if info.trend is None:
        return
    top = axes.get_ylim()[1]
    low, median, high = (np.minimum(column, top) for column in (info.trend.low, info.trend.median, info.trend.high))
    axes.fill_between(info.trend.x, low, high, color=_INTERVAL, alpha=0.55, linewidth=0, zorder=3.5)
    axes.plot(info.trend.x, median, color=_TREND, linewidth=1.8, zorder=4)


def _spread(info: ParamInfo) -> list[float]:
    """Returns the x of each point as drawn. In a column, points are spread so that none hides another."""
    if not info.columns:
        return [point.x for point in info.points]
    seen: dict[float, int] = {}
    spread = []
    for point in info.points:
        turn = seen[point.x] = seen.get(point.x, -1) + 1
        spread.append(point.x + 0.5 * _step(info) * ((turn * 0.618034 + 0.5) % 1 - 0.5))
    return spread


def parameter_handles(rung: CommonRung, infos: list[ParamInfo]) -> list[Any]:
    """Returns the handles of a legend of all that is drawn of some parameters."""
    handles: list[Any] = [*stage_handles(rung), *mark_handles(rung.trials)]
    has_boxes = any(column.box for info in infos for column in info.columns)
    if has_boxes:
        handles.append(Patch(facecolor=BOX, edgecolor=MUTED, label="quartiles (from 8 trials on)"))
    if has_boxes or any(info.trend for info in infos):
        handles.append(Line2D([], [], color=INK, linewidth=1.8, label="median"))
        handles.append(Patch(facecolor=_INTERVAL, label="95 % interval of the median"))
    return handles
