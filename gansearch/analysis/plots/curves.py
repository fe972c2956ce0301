"""FID against kimg: `fid_vs_kimg.png`."""

from collections.abc import Iterator

from matplotlib.figure import Figure

from gansearch.analysis.draw.curves import draw_curves
from gansearch.analysis.info.curves import curves_info
from gansearch.analysis.plots.base import Plot
from gansearch.registry import component
from gansearch.run import Run


@component
class Curves(Plot):
    """FID against kimg. The best trial stands out, baselines are named, rungs are vertical, and the floor is dotted."""

    def figures(self, run: Run) -> Iterator[tuple[str, Figure]]:
        figure = Figure(figsize=(9, 5.4), layout="constrained")
        draw_curves(curves_info(run), figure.add_subplot())
        yield "fid_vs_kimg", figure
