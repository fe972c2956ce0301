"""Shows the progress of a search: a live table in a terminal or a notebook, plain lines in a pipe."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from gansearch.analysis.status import describe, render_status
from gansearch.run.ledger import Ledger
from gansearch.run.rows import Eval, Noise, Row, Start
from gansearch.text import fid_text

if TYPE_CHECKING:
    from gansearch.search.remaining import TimeLeft

logger = logging.getLogger(__name__)

_TABLE_ROWS = 30
_NOTEBOOK_WIDTH = 110  # characters
_SHORTEST = 5  # seconds
# Each with its seconds; numbers are multiples of a step as long as they are below an end.
_UNITS: Sequence[tuple[int, str, Sequence[tuple[float, float]]]] = (
    (1, "s", [(5, 30), (10, 60)]),
    (60, "min", [(1, 10), (5, 60)]),
    (3600, "h", [(0.5, 6), (1, 48)]),
)


class Progress:
    """Follows a search by the rows that `listen` gets.

    `total` returns how many trials a ledger will have, None where a budget ends the search; `left` how long the search
    still takes.
    """

    def __init__(
        self, total: Callable[[Ledger], int | None], max_kimg: float, left: "Callable[[], TimeLeft | None]"
    ) -> None:
        self._total, self._max_kimg, self._left = total, max_kimg, left
        self._ledger = Ledger()
        self._live: Live | None = None
        self._update: Callable[[], None] | None = None  # of the table in a notebook

    def listen(self, row: Row, ledger: Ledger) -> None:
        self._ledger = ledger
        if self._update is not None:
            self._update()
        elif self._live is None and not isinstance(row, Start | Noise):
            best = ledger.best
            lowest = f"; lowest so far {fid_text(best.best.fid)} (trial {best.trial_id})" if best and best.best else ""
            left = f"; {left_text(self._left())}" if isinstance(row, Eval) else ""
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
        return Group(table, Text(left_text(self._left())))


def left_text(left: "TimeLeft | None") -> str:
    """Returns the time that is left in words: `about 3 to 5 min left`."""
    if left is None:
        return "time left: not known yet"
    until = " until the budget is spent" if left.by_budget else ""
    about = f"about {range_text(left.low, left.high)}" if left.high >= _SHORTEST else f"less than {_SHORTEST} s"
    return f"{about} left{until}"


def range_text(low: float, high: float) -> str:
    """Returns a range of seconds with numbers that are easy to read: `3 to 5 min`, `40 s to 2 min`, or one number."""
    (first, unit), (last, last_unit) = _rounded(low), _rounded(high)
    if (first, unit) == (last, last_unit):
        return f"{last} {last_unit}"
    return f"{first} to {last} {unit}" if unit == last_unit else f"{first} {unit} to {last} {last_unit}"


def _rounded(seconds: float) -> tuple[str, str]:
    """Returns a duration as a number that is easy to read, and its unit."""
    for size, unit, steps in _UNITS:
        for step, end in steps:
            if (number := step * max(1, round(seconds / size / step))) < end:
                return f"{number:g}", unit
    return f"{round(seconds / 86400)}", "days"
