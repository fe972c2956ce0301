"""Draws two trials in one picture."""

import textwrap
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gansearch.analysis.draw.losses import draw_losses, series_style
from gansearch.analysis.draw.style import INK, MUTED, headline, legend_below, style_axes
from gansearch.analysis.info.comparison import Comparison, Side
from gansearch.analysis.info.curves import is_wide
from gansearch.analysis.pictures import opened
from gansearch.text import fid_text, kimg_text

_MOST_PARAMETERS = 14  # of those that differ, so that the table stays beside the curves
_LINE = 40  # characters that fit into a cell


def comparison_figure(run: str, info: Comparison, state: str | None) -> Figure:
    """Returns a figure of two trials: FIDs, losses, grids of samples at a common length, and real images beside."""
    figure = Figure(figsize=(13, 9), layout="constrained")
    parts: Any = figure.subfigures(2, 1, height_ratios=[1, 1.25])
    above, below = parts
    panels: Any = above.subplots(1, 4, width_ratios=[1.25, 1, 1, 1])
    _draw_fids(info, panels[0])
    draw_losses([side.losses for side in info.sides], panels[1:])
    cells: Any = below.subplots(1, 4, width_ratios=[1, 1, 1, 0.9])
    for side, cell in zip(info.sides, cells, strict=False):
        _draw_grid(side.samples, _grid_title(side, info), _no_samples(info), cell)
    _draw_grid(info.real, "real images", "the run has no picture of real images", cells[2])
    _draw_differences(info, cells[3])
    ids = [side.curve.trial_id for side in info.sides]
    headline(figure, f"{run}: how do trials {ids[0]} and {ids[1]} differ?" + (f" ({state})" if state else ""))
    legend_below(figure, [_handle(at, side) for at, side in enumerate(info.sides)])
    return figure


def _handle(at: int, side: Side) -> Line2D:
    kimg, fid = side.curve.lowest
    label = f"trial {side.curve.trial_id} ({side.curve.status}): lowest FID {fid_text(fid)} at {kimg_text(kimg)} kimg"
    return Line2D([], [], label=label, **series_style(at))


def _draw_fids(info: Comparison, axes: Any) -> None:
    style_axes(axes, "training length (kimg)", is_wide(fid for side in info.sides for fid in side.curve.fid))
    axes.set_ylabel("FID", color=INK)
    axes.text(0.5, 1.02, "FID", transform=axes.transAxes, ha="center", color=INK, fontsize=10)
    for at, side in enumerate(info.sides):
        axes.plot(side.curve.kimg, side.curve.fid, marker="o", markersize=3.5, **series_style(at))
    if info.kimg is not None:
        axes.axvline(info.kimg, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)


def _grid_title(side: Side, info: Comparison) -> str:
    if info.kimg is None:
        return f"trial {side.curve.trial_id}"
    return f"trial {side.curve.trial_id} at {kimg_text(info.kimg)} kimg, FID {fid_text(side.fid)}\n(the same z in both)"


def _no_samples(info: Comparison) -> str:
    return "no samples here" + ("" if info.elsewhere is None else f": they lie in {info.elsewhere}")


def _draw_grid(file: Path | None, title: str, missing: str, axes: Any) -> None:
    axes.set_axis_off()
    axes.set_title(title, fontsize=9.5, color=INK)
    picture = None if file is None else opened(file)
    if picture is None:
        # Folded here: where matplotlib folds a text, it takes a `$` for a formula in any case.
        text = textwrap.fill(missing, _LINE)
        axes.text(0.5, 0.5, text, ha="center", va="center", color=MUTED, transform=axes.transAxes)
        return
    axes.imshow(picture.convert("RGB"))


def _draw_differences(info: Comparison, axes: Any) -> None:
    """Writes the parameters that differ, with both values."""
    axes.set_axis_off()
    axes.set_title("parameters that differ", fontsize=9.5, color=INK, loc="left")
    shown = info.differing[:_MOST_PARAMETERS]
    rows = [("", *(side.curve.trial_id for side in info.sides)), *shown]
    for at, (path, one, other) in enumerate(rows):
        y, weight = 0.96 - at * 0.062, "bold" if at == 0 else "normal"
        for x, text in ((0.0, path), (0.62, one), (0.85, other)):
            axes.text(x, y, text, fontsize=8, color=INK, fontweight=weight, transform=axes.transAxes, va="top")
    if len(info.differing) > len(shown):
        more = f"and {len(info.differing) - len(shown)} more"
        axes.text(0.0, 0.96 - len(rows) * 0.062, more, fontsize=8, color=MUTED, transform=axes.transAxes, va="top")
