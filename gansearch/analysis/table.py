"""The table of every command. It fits the width of the terminal, or 120 characters in a pipe."""

import math
import sys
import textwrap
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.text import Text

from gansearch.logs import visible

# The colours of a trial's status in a terminal.
STATUS_COLOURS = {
    "completed": "green",
    "stopped": "yellow",
    "running": "cyan",
    "waiting": "blue",
    "diverged": "red",
    "infeasible": "red",
    "failed": "red",
}

PIPE_WIDTH = 120
"""The width of a table in characters where no terminal has one."""

_GAP = "  "
_INDENT = 6
_NARROWEST = 12  # characters of a text that is cut


def console_of(file: TextIO) -> Console:
    """Returns a console on a file, as wide as its terminal, or `PIPE_WIDTH` and without colours in a pipe."""
    return _Console(file=file) if file.isatty() else _Console(file=file, width=PIPE_WIDTH, color_system=None)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # which is no error: rich would end the process with exit code 1


class _Row(NamedTuple):
    cells: list[Text]
    details: str = ""
    style: str = ""


class Table:
    """Aligned columns of text. A table is a rich renderable as well, so that a live display can show it.

    What does not fit is left out, the last columns first, and a line below the table names what is missing. A number is
    never cut.

    Args:
        columns: The names of the columns.
        right: Those of `columns` that are right-aligned.
        text: The column of `columns` whose texts are cut before a column is left out.
        hint: How to see what is left out.
    """

    def __init__(
        self, columns: Sequence[str], right: Collection[str] = (), *, text: str | None = None, hint: str = ""
    ) -> None:
        self.notes: list[str] = []  # lines below the table
        self._names, self._hint = list(columns), hint
        self._right = [name in right for name in columns]
        self._text = None if text is None else self._names.index(text)
        self._rows: list[_Row] = []
        self.add(*columns, style="bold underline")

    def add(self, *cells: str | Text, details: str = "", style: str = "") -> None:
        """Adds a row.

        Args:
            cells: The texts of `columns`. A rich `Text` has its own colour in a terminal.
            details: What stands beneath the row, folded where it is too long.
            style: The rich style of the row.
        """
        texts = [Text(visible(cell)) if isinstance(cell, str) else cell for cell in cells]
        self._rows.append(_Row(texts, visible(details), style))

    def write(self, file: TextIO | None = None, *, wide: bool = False) -> None:
        """Writes the table to a file, stdout by default.

        With `wide` no column is left out, however long lines get, and in a pipe a row is one line with its details.
        """
        file = file or sys.stdout
        console = console_of(file)
        widths = self._widths(math.inf if wide else console.width)
        for line in self._lines(widths, math.inf if wide and not file.isatty() else console.width):
            console.print(line, crop=False, soft_wrap=True)
        notes = list(self.notes)
        if missing := self._names[len(widths) :]:
            notes.append(f"left out for lack of room: {', '.join(missing)}{'; ' if self._hint else ''}{self._hint}")
        for note in notes:
            console.print(Text("\n".join(_folded(visible(note), console.width))), crop=False, soft_wrap=True)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        yield from self._lines(self._widths(options.max_width), options.max_width)
        yield from (Text(visible(note), no_wrap=True, overflow="ignore") for note in self.notes)

    def _lines(self, widths: Sequence[int], width: float) -> Iterator[Text]:
        """Yields the lines of all rows, with details folded to `width` beneath a row, or beside it without a limit."""
        for row in self._rows:
            cells = list(map(_aligned, row.cells, widths, self._right))
            line = Text(_GAP, no_wrap=True, overflow="ignore").join(
                [*cells, Text(row.details)] if width == math.inf else cells
            )
            line.rstrip()
            line.style = row.style
            yield line
            for detail in () if width == math.inf else _folded(row.details, int(width) - _INDENT):
                yield Text(" " * _INDENT + detail, style="dim", no_wrap=True, overflow="ignore")

    def _widths(self, width: float) -> list[int]:
        """Returns the widths of the columns that fit: each as wide as its longest cell, but for a text that is cut."""
        widths = [
            max(cell.cell_len for cell in column) for column in zip(*(row.cells for row in self._rows), strict=True)
        ]
        while True:
            surplus = sum(widths) + len(_GAP) * (len(widths) - 1) - width
            if surplus <= 0 or len(widths) == 1:
                return widths
            if self._text is not None and self._text < len(widths) and widths[self._text] - surplus >= _NARROWEST:
                widths[self._text] -= int(surplus)
                return widths
            widths.pop()


def _aligned(cell: Text, width: int, right: bool) -> Text:
    cell = cell.copy()
    cell.truncate(width, overflow="ellipsis")
    cell.align("right" if right else "left", width)
    return cell


def _folded(text: str, width: int) -> list[str]:
    """Folds a text at spaces. A word that is longer than a line, such as a path, stays whole."""
    return textwrap.wrap(text, max(_NARROWEST, width), break_long_words=False, break_on_hyphens=False)
