"""Which loss with how much replay: `replay.png`."""

from collections.abc import Iterator
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gansearch.analysis.draw.parameter import fid_limits
from gansearch.analysis.draw.style import INK, MUTED, SERIES, legend_below, point_handle, style_axes, titled
from gansearch.analysis.info.common_rung import CommonRung, common_rung
from gansearch.analysis.info.curves import is_wide
from gansearch.analysis.info.replay import ReplayInfo, replay_info
from gansearch.analysis.info.trials import state_text
from gansearch.analysis.labels import fit_labels
from gansearch.analysis.plots.base import Plot
from gansearch.registry import component
from gansearch.run import Run

_MARKERS = "osD^vPX"


@component
class Replay(Plot):
    """The median FID at the common rung of each loss with each frequency of replay, with intervals."""

    def figures(self, run: Run) -> Iterator[tuple[str, Figure]]:
        rung = common_rung(run)
        info = replay_info(rung, run.manifest.space)
        if info is not None and rung.can_compare:
            yield "replay", _figure(run.manifest.name, rung, info, state_text(run))


def _figure(run: str, rung: CommonRung, info: ReplayInfo, state: str | None) -> Figure:
    log_fid = is_wide(trial.fid for trial in rung.measured)
    figure = Figure(figsize=(max(7.0, 2.2 * len(info.every)), 4.9), layout="constrained")
    axes: Any = figure.add_subplot()
    style_axes(axes, "replay.every: D steps from one replay to the next (0: never)", log_fid)
    axes.set_ylabel("median FID", color=INK)
    axes.set_xticks(range(len(info.every)), info.every)
    axes.set_xlim(-0.5, len(info.every) - 0.5)
    axes.grid(visible=False, axis="x")
    low, high = fid_limits(rung, log_fid)
    axes.set_ylim(low / (high / low) ** 0.07 if log_fid else low - 0.07 * (high - low), high)  # with room for n
    width = 0.8 / max(1, len(info.losses))
    for cell in info.cells:
        x = cell.every + width * (cell.loss - (len(info.losses) - 1) / 2)
        colour, marker = SERIES[cell.loss % len(SERIES)], _MARKERS[cell.loss % len(_MARKERS)]
        filled = colour if cell.box else "white"
        if cell.box:
            axes.plot([x, x], [min(value, high) for value in cell.box.interval], color=colour, linewidth=2)
        axes.plot(x, min(cell.median, high), marker, color=filled, markeredgecolor=colour, markersize=7, clip_on=False)
        place = {"transform": axes.get_xaxis_transform(), "ha": "center", "fontsize": 7.5, "color": MUTED}
        axes.text(x, 0.012, f"n={cell.trials}" if len(info.cells) <= 16 else str(cell.trials), **place)
    for line in range(1, len(info.every)):
        axes.axvline(line - 0.5, color=MUTED, linewidth=0.6, alpha=0.5)
    titled(axes, run, "which loss, with how much replay?", str(rung), state)
    legend_below(figure, _handles(info))
    return figure


def _handles(info: ReplayInfo) -> list[Line2D]:
    handles = [
        Line2D([], [], color=SERIES[at % len(SERIES)], marker=_MARKERS[at % len(_MARKERS)], label=loss, linewidth=2)
        for at, loss in enumerate(fit_labels(info.losses, 32))
        if any(cell.loss == at for cell in info.cells)
    ]
    if any(cell.box for cell in info.cells):
        handles.append(Line2D([], [], color=INK, linewidth=2, label="95 % interval of the median"))
    if any(not cell.box for cell in info.cells):
        handles.append(point_handle("fewer than 8 trials", "white", edge=INK))
    return handles
