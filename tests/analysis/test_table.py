"""The one table: whole lines in a pipe, no number cut in a terminal, and nothing wrapped in a live display."""

import io

import pytest
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from gansearch.analysis.table import Table


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def table() -> Table:
    table = Table(("place", "trial"), {"place"}, ("parameters", "reason"))
    table.add("1", Text("0000", style="green"), long_cells=("a=1 " * 30, ""), details="a=1 " * 30, style="bold")
    table.add("12", "[red]名[/red]", long_cells=("b", "NaN"), details="")
    table.notes.append("[1] a note " + "x" * 200)
    return table


def written(table: Table, file: io.StringIO) -> list[str]:
    table.write(file)
    return file.getvalue().splitlines()


def test_in_a_pipe_a_row_is_one_whole_line(table: Table) -> None:
    header, first, second, note = written(table, io.StringIO())
    assert header.split() == ["place", "trial", "parameters", "reason"]
    assert first == f"    1  0000           {'a=1 ' * 30}".rstrip()
    # A wide character takes two places, and what looks like markup is text.
    assert second == f"   12  [red]名[/red]  b{' ' * 119}  NaN"
    assert note.startswith("[1] a note x") and len(note) == 211


@pytest.mark.parametrize("columns", [9, 40, 300])
def test_in_a_terminal_only_details_fold(table: Table, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    text = Text.from_ansi("\n".join(written(table, Terminal()))).plain
    lines = [line.rstrip() for line in text.splitlines()]
    assert lines[:2] == ["place  trial", "    1  0000"]
    assert lines[-2:] == ["   12  [red]名[/red]", "[1] a note " + "x" * 200]
    details = lines[2:-2]
    assert " ".join(line.strip() for line in details) == ("a=1 " * 30).strip()
    assert all(line.startswith("      a") and len(line) <= columns for line in details)
    assert "parameters" not in text and "NaN" not in text


def test_in_a_terminal_a_row_has_its_colours(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    _, first, *_ = written(table, Terminal())
    assert "\x1b[1;32m0000" in first
    assert "\x1b" not in "".join(written(table, io.StringIO()))


def test_a_live_display_shows_a_row_on_one_line(table: Table) -> None:
    file = Terminal()
    console = Console(file=file, width=20, force_terminal=True, color_system=None)
    with Live(Group(table, Text("time left")), console=console, auto_refresh=False):
        pass
    lines = [line.rstrip() for line in Text.from_ansi(file.getvalue()).plain.splitlines()]
    assert lines[:2] == ["place  trial", "    1  0000"] and max(map(len, lines)) <= 20
    assert lines[-2:] == ["[1] a note xxxxxxxxx", "time left"]


def test_without_rows_there_is_a_header() -> None:
    assert written(Table(("a", "b"), ()), io.StringIO()) == ["a  b"]
