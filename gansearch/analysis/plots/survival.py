"""How many trials came to each rung: `rungs.png`."""

from collections.abc import Iterator
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import Patch

from gansearch.analysis.draw.style import BROKEN, CUT, FULL, legend_below, style_axes, titled
from gansearch.analysis.info.survival import FATES, Fate, Stage, survival_info
from gansearch.analysis.info.trials import state_text
from gansearch.analysis.plots.base import Plot
from gansearch.registry import component
from gansearch.run import Run
from gansearch.text import kimg_text

_COLOURS: dict[Fate, str] = {
    "went on": FULL,
    "completed": "#1b3a55",
    "running": "#7fb3d5",
    "waiting": "#c9b458",
    "stopped": CUT,
    "diverged": BROKEN,
    "infeasible": "#b08968",
    "failed": "#7a3b1d",
}


@component
class Survival(Plot):
    """How many trials came to each rung, and what became of the others."""

    def figures(self, run: Run) -> Iterator[tuple[str, Figure]]:
        stages = survival_info(run)
        if stages:
            yield "rungs", _figure(run.manifest.name, stages, state_text(run))


def _figure(run: str, stages: list[Stage], state: str | None) -> Figure:
    figure = Figure(figsize=(9, 1.9 + 0.5 * len(stages)), layout="constrained")
    axes: Any = figure.add_subplot()
    style_axes(axes, "trials")
    axes.grid(visible=False, axis="y")
    for at, stage in enumerate(stages):
        left = 0
        for fate in FATES:
            axes.barh(at, stage.fates[fate], left=left, color=_COLOURS[fate], height=0.7, zorder=2)
            left += stage.fates[fate]
        axes.annotate(_counts(stage), (left, at), xytext=(5, 0), textcoords="offset points", va="center", fontsize=8.5)
    names = ["begun", *(f"came to {kimg_text(stage.kimg)} kimg" for stage in stages[1:])]
    axes.set_yticks(range(len(stages)), names)
    axes.set_ylim(len(stages) - 0.5, -0.5)
    axes.set_xlim(0, 1.6 * max(1, stages[0].trials))  # with room for the counts
    axes.xaxis.get_major_locator().set_params(integer=True)
    titled(axes, run, "how many trials came how far?", state)
    present = [fate for fate in FATES if any(stage.fates[fate] for stage in stages)]
    words = {"went on": "went on to the next rung"}
    legend_below(figure, [Patch(color=_COLOURS[fate], label=words.get(fate, fate)) for fate in present])
    return figure


def _counts(stage: Stage) -> str:
    parts = [f"{stage.fates[fate]} {fate}" for fate in FATES if stage.fates[fate]]
    return f"{stage.trials}: " + ", ".join(parts) if parts else "0"
