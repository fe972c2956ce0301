"""The contract of a plot."""

import re

from matplotlib.figure import Figure

from gansearch.analysis.plots.base import Plot
from gansearch.contracts.base import holds, require
from gansearch.contracts.example import example_run, rows
from gansearch.run.rows import Row

SUBJECT = Plot

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def _draw(plot: Plot, of: list[Row]) -> dict[str, Figure]:
    with example_run(of) as run:
        return dict(plot.figures(run))


@holds("Its figures are matplotlib figures with plain names.")
def figures_have_plain_names(plot: Plot) -> None:
    for name, figure in _draw(plot, rows()).items():
        require(isinstance(figure, Figure), f"{name} is {type(figure).__name__}, not a matplotlib Figure")
        require(_NAME.fullmatch(name), f"{name!r} is no plain name of a file")


@holds("It draws a run whose first trial still runs.")
def it_draws_a_young_run(plot: Plot) -> None:
    _draw(plot, rows()[:2])
