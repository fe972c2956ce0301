"""The base class of plots of a run."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

from matplotlib.figure import Figure

from gansearch.registry import component
from gansearch.run import Run


@component
class Plot(ABC):
    """Figures of a run. `analyze.py plot RUN` draws every plot that is known, `--plot MODULE:CLASS` one of your own."""

    @abstractmethod
    def figures(self, run: Run) -> Iterator[tuple[str, Figure]]:
        """Yields figures of a run that has an evaluation, each with the name of its file, without `.png`.

        A `$` in a text of a figure is shown as it is; numbers along an axis may be formulas.
        """
