"""What the search has gained for its work: `progress.png`."""

from collections.abc import Iterator
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gansearch.analysis.draw.style import (
    BEST,
    HALO,
    INK,
    SERIES,
    label_ends,
    legend_below,
    plain_ticks,
    style_axes,
    titled,
)
from gansearch.analysis.info.curves import is_wide
from gansearch.analysis.info.progress import ProgressInfo, progress_info
from gansearch.analysis.info.trials import state_text
from gansearch.analysis.plots.base import Plot
from gansearch.registry import component
from gansearch.run import Run
from gansearch.text import fid_text


@component
class Progress(Plot):
    """The lowest FID so far against GPU hours, of the search and of each baseline alone."""

    def figures(self, run: Run) -> Iterator[tuple[str, Figure]]:
        yield "progress", _figure(run.manifest.name, progress_info(run), state_text(run))


def _figure(run: str, info: ProgressInfo, state: str | None) -> Figure:
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes: Any = figure.add_subplot()
    lines = [info.search, *info.baselines]
    style_axes(axes, info.unit, is_wide(fid for line in lines for fid in line.fid))
    axes.set_ylabel("lowest FID so far", color=INK)
    hours = [hour for line in lines for hour in line.hours if hour > 0]
    if hours and max(hours) > 5 * min(hours):
        axes.set_xscale("log")
        plain_ticks(axes.xaxis, (1.0, 3.0))
        axes.set_xlim(min(hours) / 1.2, max(hours) * 1.5)
    else:
        axes.margins(x=0.1)
    axes.step(info.search.hours, info.search.fid, where="post", color=BEST, linewidth=2.4, zorder=4)
    for at, line in enumerate(info.baselines):
        style = {"color": SERIES[at % len(SERIES)], "linewidth": 1.7, "linestyle": (0, (6, 2, 1, 2)), "zorder": 3}
        axes.step(line.hours, line.fid, where="post", **style)
        axes.plot(line.hours[-1], line.fid[-1], "o", color=style["color"], markersize=5, zorder=3)
    last = info.search.hours[-1], info.search.fid[-1]
    axes.plot(*last, "o", color=BEST, markersize=6, zorder=5)
    text = f"search: {fid_text(last[1])}"
    axes.annotate(text, last, xytext=(0, -14), textcoords="offset points", ha="center", color=BEST, path_effects=HALO)
    axes.margins(y=0.12)
    ends = [
        (line.hours[-1], line.fid[-1], f"{line.name}: {fid_text(line.fid[-1])}", SERIES[at % len(SERIES)])
        for at, line in enumerate(info.baselines)
    ]
    label_ends(axes, ends)
    titled(axes, run, "what does the search gain for its work?", state)
    legend_below(figure, _handles(info))
    return figure


def _handles(info: ProgressInfo) -> list[Line2D]:
    handles = [Line2D([], [], color=BEST, linewidth=2.4, label="all trials of the search")]
    if info.baselines:
        alone = "a baseline alone, as far as the search trained it"
        handles.append(Line2D([], [], color=INK, linewidth=1.7, linestyle=(0, (6, 2, 1, 2)), label=alone))
    return handles
