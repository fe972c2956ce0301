"""The plots of a run as PNG files: FID against kimg, and lowest FID against each searched parameter."""

import math
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from gansearch.analysis.plot_curves import draw_curves
from gansearch.analysis.plot_info import CurvesInfo, ParamInfo, Point, curves_info, param_info
from gansearch.analysis.plot_style import BEST, BOX, INK, LEGEND, MUTED, STATUS_STYLE, plain_ticks, style_axes
from gansearch.errors import UserError
from gansearch.run.loaded import Run


def plot(run: Run, out: Path | None = None) -> list[Path]:
    """Writes every plot of a run into the folder `out` (default: `plots/` of the run) and returns the files' paths.

    Raises:
        UserError: No trial has an evaluation yet, or the files cannot be written.
    """
    curves = curves_info(run)
    if not curves.curves:
        raise UserError(f"{run.dir.path} has no evaluation to plot yet: wait for its first FID")
    out = out or run.dir.plots
    infos = [param_info(run, path) for path in run.manifest.space.params]
    infos = [info for info in infos if info.points]
    figures = {"fid_vs_kimg": partial(curves_figure, curves)}
    figures |= {
        f"fid_vs_{re.sub(r'[^A-Za-z0-9._-]', '_', info.path)}": partial(parameter_figure, info) for info in infos
    }
    if infos:
        figures["parameters"] = partial(overview_figure, curves.run, infos)
    try:
        out.mkdir(parents=True, exist_ok=True)
        return [_save(draw(), out / f"{name}.png") for name, draw in figures.items()]
    except OSError as error:
        raise UserError(f"cannot write plots to {out} ({error.strerror}): choose another folder with --out") from None


def curves_figure(info: CurvesInfo) -> Figure:
    """Returns a figure of FID against kimg. The best trial stands out, rungs are vertical, and the floor is dotted."""
    figure = Figure(figsize=(9, 5), layout="constrained")
    draw_curves(info, figure.add_subplot())
    return figure


def parameter_figure(info: ParamInfo) -> Figure:
    """Returns a figure of lowest FID against one parameter."""
    figure = Figure(figsize=(6, 4.2), layout="constrained")
    draw_parameter(info, figure.add_subplot())
    figure.legend(handles=_legend(info.points, info.best), **LEGEND)
    return figure


def overview_figure(run: str, infos: Sequence[ParamInfo]) -> Figure:
    """Returns a figure with a panel for each parameter. All panels share one FID axis, so that they can be compared."""
    columns = min(len(infos), 4 if len(infos) > 6 else 3)
    rows = math.ceil(len(infos) / columns)
    figure = Figure(figsize=(max(3.3 * columns, 5), 2.9 * rows + 0.8), layout="constrained")
    grid: list[Any] = list(np.atleast_1d(figure.subplots(rows, columns, sharey=True)).flat)
    log_fid = any(info.log_fid for info in infos)
    for index, axes in enumerate(grid):
        if index < len(infos):
            draw_parameter(infos[index]._replace(log_fid=log_fid), axes)
            if index % columns:
                axes.set_ylabel("")
        else:
            axes.set_visible(False)
    figure.suptitle(f"{run}: lowest FID of each trial", color=INK, fontsize=13, fontweight="bold", x=0.01, ha="left")
    figure.legend(handles=_legend([point for info in infos for point in info.points], infos[0].best), **LEGEND)
    return figure


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


def _legend(points: Sequence[Point], best: str | None) -> list[Line2D]:
    kinds = {point.status for point in points if point.trial_id != best}
    handles = [
        Line2D([], [], color=colour, marker=marker, linestyle="", markersize=7, label=word)
        for status, (colour, marker, word) in STATUS_STYLE.items()
        if status in kinds
    ]
    if any(point.trial_id == best for point in points):
        handles.append(Line2D([], [], color=BEST, marker="*", linestyle="", markersize=12, label="best trial"))
    return handles


def _save(figure: Figure, path: Path) -> Path:
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=150)
    return path
