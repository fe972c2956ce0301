"""Draws lowest FID against one parameter."""

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from gansearch.analysis.plot_info import ParamInfo, Point
from gansearch.analysis.plot_style import BEST, BOX, INK, MUTED, STATUS_STYLE, plain_ticks, style_axes


def draw_parameter(info: ParamInfo, axes: Any) -> None:
    """Draws `info` on a matplotlib Axes: a scatter for a number, boxes and their points for choices."""
    condition = f"\n(where {info.only_where})" if info.only_where else ""
    style_axes(axes, info.path + condition, info.log_fid)
    axes.set_ylabel("lowest FID", color=INK)
    axes.margins(y=0.08)
    if info.choices is not None:
        _draw_boxes(info, axes)
    else:
        _number_axis(info, axes)
    for point, x in zip(info.points, _spread(info), strict=True):
        if point.trial_id == info.best:
            axes.plot(x, point.fid, "*", color=BEST, markersize=15, markeredgecolor="white", zorder=5)
        else:
            colour, marker, _ = STATUS_STYLE[point.status]
            size = 6.5 if marker == "o" else 9
            axes.plot(x, point.fid, marker, color=colour, markersize=size, markeredgecolor="white", alpha=0.9, zorder=3)


def _number_axis(info: ParamInfo, axes: Any) -> None:
    """Shows the whole domain, with a margin so that points at the ends of the domain are not cut."""
    low, high = info.limits
    if info.log_x:
        axes.set_xscale("log")
        decades = math.log10(high / low)
        plain_ticks(axes.xaxis, (1.0, 2.0, 5.0) if decades < 2 else (1.0, 3.0) if decades < 3 else (1.0,))
        margin = 10 ** (0.05 * decades or 0.1)
        axes.set_xlim(low / margin, high * margin)
    else:
        margin = 0.05 * (high - low) or 0.5
        axes.set_xlim(low - margin, high + margin)
    if _few_integers(info):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _few_integers(info: ParamInfo) -> bool:
    """Returns whether points stand in columns, as they do for a small whole number."""
    return not info.log_x and info.limits[1] - info.limits[0] <= 16 and all(p.x.is_integer() for p in info.points)


def _draw_boxes(info: ParamInfo, axes: Any) -> None:
    choices = info.choices or []
    line = {"color": MUTED, "linewidth": 1.0}
    # Fewer than three points have no quartiles to show.
    filled = [index for index in range(len(choices)) if len(info.group(index)) >= 3]
    if filled:
        axes.boxplot(
            [info.group(index) for index in filled],
            positions=filled,
            widths=0.55,
            showfliers=False,
            patch_artist=True,
            manage_ticks=False,
            boxprops={"facecolor": BOX, "edgecolor": MUTED, "linewidth": 1.0},
            whiskerprops=line,
            capprops=line,
            medianprops={"color": INK, "linewidth": 1.6},
        )
    axes.set_xticks(range(len(choices)), choices)
    axes.set_xlim(-0.6, len(choices) - 0.4)
    axes.grid(visible=False, axis="x")


def _spread(info: ParamInfo) -> list[float]:
    """Returns the x of each point as drawn. In a column, points are spread so that none hides another."""
    if info.choices is None and not _few_integers(info):
        return [point.x for point in info.points]
    width = 0.32 if info.choices is not None else 0.02 * (info.limits[1] - info.limits[0])
    seen: dict[float, int] = {}
    spread = []
    for point in info.points:
        turn = seen[point.x] = seen.get(point.x, -1) + 1
        spread.append(point.x + width * ((turn * 0.618034 + 0.5) % 1 - 0.5))
    return spread


def legend_handles(points: Sequence[Point], best: str | None) -> list[Line2D]:
    """Returns the handles of a legend that names each status among some points, and the best trial."""
    kinds = {point.status for point in points if point.trial_id != best}
    handles = [
        Line2D([], [], color=colour, marker=marker, linestyle="", markersize=7, label=word)
        for status, (colour, marker, word) in STATUS_STYLE.items()
        if status in kinds
    ]
    if any(point.trial_id == best for point in points):
        handles.append(Line2D([], [], color=BEST, marker="*", linestyle="", markersize=12, label="best trial"))
    return handles
