"""The table of every command: a trial is one line in a pipe; in a terminal, long text folds beneath its numbers."""

import sys
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.padding import Padding
from rich.text import Text

# The colours of a trial's status in a terminal.
STATUS_COLOURS = {
    "completed": "green",
    "stopped": "yellow",
    "running": "cyan",
    "waiting": "blue",
    "diverged": "red",
    "failed": "red",
}

_GAP = Text("  ")
_INDENT = (0, 0, 0, 6)


class _Row(NamedTuple):
    cells: list[Text]
    long_cells: list[Text]
    details: str = ""
    style: str = ""


class Table:
    """Aligned columns of text. A table is a rich renderable as well, so that a live display can show it.

    Args:
        columns: The names of the columns that are never folded.
        right: Those of `columns` that are right-aligned.
        long_columns: The names of further columns, which only a pipe shows. A terminal shows a row's `details` instead.
    """

    def __init__(self, columns: Sequence[str], right: Collection[str], long_columns: Sequence[str] = ()) -> None:
        self.notes: list[str] = []  # lines below the table
        self._right = [name in right for name in (*columns, *long_columns)]
        self._rows: list[_Row] = []
        self.add(*columns, long_cells=long_columns, style="bold underline")

    def add(self, *cells: str | Text, long_cells: Sequence[str] = (), details: str = "", style: str = "") -> None:
        """Adds a row.

        Args:
            cells: The texts of `columns`. A rich `Text` has its own colour in a terminal.
            long_cells: The texts of `long_columns`.
            details: What a terminal shows beneath the row, folded where it is too long.
            style: The rich style of the row.
        """
        texts = [Text(cell) if isinstance(cell, str) else cell for cell in cells]
        self._rows.append(_Row(texts, [Text(cell) for cell in long_cells], details, style))

    def write(self, file: TextIO | None = None) -> None:
        """Writes the table to a file, stdout by default. No cell is cut, however narrow a terminal is."""
        file = file or sys.stdout
        if file.isatty():
            Console(file=file).print(self, crop=False)
        else:
            lines = self._aligned([[*row.cells, *row.long_cells] for row in self._rows])
            file.writelines(f"{line}\n" for line in [*(line.plain for line in lines), *self.notes])

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        for row, line in zip(self._rows, self._aligned([row.cells for row in self._rows]), strict=True):
            line.style = row.style
            yield line
            if row.details:
                yield Padding(Text(row.details, style="dim"), _INDENT)
        yield from (Text(note, no_wrap=True, overflow="ignore") for note in self.notes)

    def _aligned(self, rows: Sequence[Sequence[Text]]) -> list[Text]:
        """Returns each row as one line. A column is as wide as its longest cell, and two spaces lie between columns."""
        widths = [max(cell.cell_len for cell in column) for column in zip(*rows, strict=True)]
        lines = []
        for row in rows:
            cells = [cell.copy() for cell in row]
            for cell, width, right in zip(cells, widths, self._right, strict=False):
                cell.align("right" if right else "left", width)
            line = _GAP.join(cells)
            line.rstrip()
            line.no_wrap, line.overflow = True, "ignore"
            lines.append(line)
        return lines
