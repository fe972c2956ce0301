"""The losses of the best trials: `losses.png`."""

from collections.abc import Iterator

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gansearch.analysis.draw.losses import draw_losses, series_style
from gansearch.analysis.draw.style import legend_below, titled
from gansearch.analysis.info.losses import losses_info
from gansearch.analysis.info.trials import lowest, state_text
from gansearch.analysis.plots.base import Plot
from gansearch.registry import component
from gansearch.run import Run
from gansearch.text import fid_text


@component
class Losses(Plot):
    """The losses of D on real and on generated images, and of G, of the five best trials."""

    def figures(self, run: Run) -> Iterator[tuple[str, Figure]]:
        curves = losses_info(run)
        figure = Figure(figsize=(11, 4.3), layout="constrained")
        panels = figure.subplots(1, 3)
        draw_losses(curves, panels)
        mixed = len({curve.loss for curve in curves}) > 1
        note = "losses of another name have another unit: compare their course, not their height" if mixed else None
        titled(panels[0], run.manifest.name, "how do the losses of the best trials go?", state_text(run), note, pad=20)
        handles = []
        for at, curve in enumerate(curves):
            fid = lowest(run, run.ledger[curve.trial_id]).fid
            label = f"trial {curve.trial_id}, {curve.loss}, FID {fid_text(fid)}"
            handles.append(Line2D([], [], label=label + (" (best)" if at == 0 else ""), **series_style(at)))
        legend_below(figure, handles)
        yield "losses", figure
