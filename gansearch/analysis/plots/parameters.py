"""FID at the common rung against each searched parameter: `parameters.png`, and `fid_vs_PARAMETER.png` for each."""

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from gansearch.analysis.draw.parameter import draw_parameter, fid_limits, parameter_handles
from gansearch.analysis.draw.style import columns_of, legend_below, titled
from gansearch.analysis.info.common_rung import CommonRung, common_rung
from gansearch.analysis.info.parameters import ParamInfo, param_info
from gansearch.analysis.info.trials import state_text
from gansearch.analysis.labels import fit_label
from gansearch.analysis.plots.base import Plot
from gansearch.registry import component
from gansearch.run import Run

_WIDTH, _HEIGHT = 6.4, 4.8  # inches


@component
class Parameters(Plot):
    """FID at the common rung against each parameter, alone and side by side with one FID axis."""

    def figures(self, run: Run) -> Iterator[tuple[str, Figure]]:
        rung, space = common_rung(run), run.manifest.space
        searched = [path for path, one in space.params.items() if not one.domain.is_single]
        infos = [param_info(rung, space, path) for path in searched]
        infos = [info for info in infos if info.points and rung.can_compare]
        facts = [str(rung), state_text(run)]
        for info in infos:
            name = re.sub(r"[^A-Za-z0-9._-]", "_", info.axis.path)
            yield f"fid_vs_{name}", parameter_figure(run.manifest.name, rung, info, facts)
        if infos:
            yield "parameters", _overview(run.manifest.name, rung, infos, facts)


def parameter_figure(run: str, rung: CommonRung, info: ParamInfo, facts: Sequence[str | None]) -> Figure:
    """Returns a figure of FID at the common rung against one parameter."""
    # With one panel the margins are known, and a layout that is found by drawing takes twice as long.
    figure, handles = Figure(figsize=(_WIDTH, _HEIGHT)), parameter_handles(rung, [info])
    axes = figure.add_subplot()
    legend = 0.21 * math.ceil(len(handles) / columns_of(handles, _WIDTH))
    figure.subplots_adjust(left=0.8 / _WIDTH, right=0.98)
    draw_parameter(info, rung, axes, fid_limits(rung, info.log_fid))
    lines = axes.get_xlabel().count("\n") + max(tick.get_text().count("\n") for tick in axes.get_xticklabels())
    figure.subplots_adjust(bottom=(0.58 + 0.17 * lines + legend) / _HEIGHT)
    titled(axes, run, f"which values of {fit_label(info.axis.path, 28)} are good?", *facts)
    legend_below(figure, handles)
    return figure


def _overview(run: str, rung: CommonRung, infos: list[ParamInfo], facts: Sequence[str | None]) -> Figure:
    columns = min(len(infos), 4 if len(infos) > 6 else 3)
    rows = math.ceil(len(infos) / columns)
    figure = Figure(figsize=(max(3.3 * columns, 6), 2.9 * rows + 1.2), layout="constrained")
    ends = {"left": 0.05, "right": 0.99}  # about where the layout will put them: labels are cut to this width
    grid: list[Any] = list(np.atleast_1d(figure.subplots(rows, columns, sharey=True, gridspec_kw=ends)).flat)
    limits = fid_limits(rung, infos[0].log_fid)
    for index, axes in enumerate(grid):
        if index < len(infos):
            draw_parameter(infos[index], rung, axes, limits)
            if index % columns:
                axes.set_ylabel("")
        else:
            axes.set_visible(False)
    titled(grid[0], run, "which values of each parameter are good?", *facts)
    legend_below(figure, parameter_handles(rung, infos))
    return figure
