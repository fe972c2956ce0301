"""Lowest FID against each searched parameter: `fid_vs_PARAMETER.png`, and `parameters.png` with all of them."""

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from gansearch.analysis.plot_info import ParamInfo, param_info
from gansearch.analysis.plot_parameter import draw_parameter, legend_handles
from gansearch.analysis.plot_style import INK, LEGEND
from gansearch.analysis.plots.base import Plot
from gansearch.registry import component
from gansearch.run import Run


@component
class Parameters(Plot):
    """Lowest FID against each parameter, alone and side by side with one FID axis, so that they can be compared."""

    def figures(self, run: Run) -> Iterator[tuple[str, Figure]]:
        infos = [param_info(run, path) for path in run.manifest.space.params]
        infos = [info for info in infos if info.points]
        for info in infos:
            yield f"fid_vs_{re.sub(r'[^A-Za-z0-9._-]', '_', info.path)}", parameter_figure(info)
        if infos:
            yield "parameters", _overview(run.manifest.name, infos)


def parameter_figure(info: ParamInfo) -> Figure:
    """Returns a figure of lowest FID against one parameter."""
    figure = Figure(figsize=(6, 4.2), layout="constrained")
    draw_parameter(info, figure.add_subplot())
    figure.legend(handles=legend_handles(info.points, info.best), **LEGEND)
    return figure


def _overview(run: str, infos: Sequence[ParamInfo]) -> Figure:
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
    points = [point for info in infos for point in info.points]
    figure.legend(handles=legend_handles(points, infos[0].best), **LEGEND)
    return figure
