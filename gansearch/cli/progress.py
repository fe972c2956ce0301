"""Shows the progress of a search: a live table in a terminal or a notebook, plain lines in a pipe."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from gansearch.analysis.status import describe, render_status
from gansearch.run.ledger import Ledger
from gansearch.run.rows import Eval, Noise, Row, Start
from gansearch.text import fid_text

logger = logging.getLogger(__name__)

_TABLE_ROWS = 30
_NOTEBOOK_WIDTH = 110  # characters


class Progress:
    """Follows a search by the rows that `listen` gets.

    `total` returns how many trials a ledger will have; None where a budget ends the search.
    """

    def __init__(self, total: Callable[[Ledger], int | None], max_kimg: float) -> None:
        self._total, self._max_kimg = total, max_kimg
        self._ledger = Ledger()
        self._began: tuple[float, float] | None = None
        self._live: Live | None = None
        self._update: Callable[[], None] | None = None  # of the table in a notebook

    def listen(self, row: Row, ledger: Ledger) -> None:
        self._ledger = ledger
        if self._began is None:
            self._began = time.monotonic(), self._done()
        if self._update is not None:
            self._update()
        elif self._live is None and not isinstance(row, Start | Noise):
            best = ledger.best
            lowest = f"; lowest so far {fid_text(best.best.fid)} (trial {best.trial_id})" if best and best.best else ""
            left = f"; {self._left()}" if isinstance(row, Eval) else ""
            logger.info("%s%s%s", describe(ledger[row.trial_id], ledger), lowest, left)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Shows the table within the block, if stderr is a terminal or a notebook."""
        console = Console(stderr=True)
        if console.is_jupyter:
            with self._shown_in_notebook():
                yield
        elif console.is_terminal:
            with Live(console=console, get_renderable=self._render, refresh_per_second=2) as self._live:
                yield
        else:
            yield

    @contextmanager
    def _shown_in_notebook(self) -> Iterator[None]:
        """Shows the table in the output of a cell, where it is replaced at each row."""
        from IPython.display import HTML, display

        output = display(HTML(self._html()), display_id=True)
        self._update = lambda: output.update(HTML(self._html()))
        try:
            yield
        finally:
            self._update()
            self._update = None

    def _html(self) -> str:
        console = Console(record=True, file=StringIO(), width=_NOTEBOOK_WIDTH, force_jupyter=False)
        console.print(self._render())
        return console.export_html(inline_styles=True, code_format="<pre>{code}</pre>")

    def _render(self) -> RenderableType:
        table = render_status(self._ledger, total=self._total(self._ledger), max_kimg=self._max_kimg, rows=_TABLE_ROWS)
        return Group(table, Text(self._left()))

    def _done(self) -> float:
        """Returns the share of the search that is done: running trials count by their kimg, all others in full.

        Of the trials that wait, few go on.
        """
        trials = self._ledger.values()
        parts = (trial.kimg / self._max_kimg if trial.status == "running" else 1.0 for trial in trials)
        return sum(parts) / self._trials

    @property
    def _trials(self) -> int:
        return max(1, self._total(self._ledger) or 0, len(self._ledger))

    def _left(self) -> str:
        if self._total(self._ledger) is None:
            return "until the budget is spent"
        done = self._done()
        if self._began is None or done <= self._began[1]:
            return "time left: not known yet"
        began, before = self._began
        seconds = (time.monotonic() - began) * (1 - done) / (done - before)
        return f"about {_duration(seconds)} left"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
