"""The one table: it fits, cuts no number, names what it leaves out, and wraps nothing in a live display."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from gansearch.analysis.table import PIPE_WIDTH, Table


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def table() -> Table:
    table = Table(("place", "trial", "why"), {"place"}, text="why", hint="--wide shows all")
    table.add("1", Text("0000", style="green"), "it was so " * 30, details="a=1 " * 30, style="bold")
    table.add("12", "[red]名[/red]", "NaN")
    table.notes.append("[1] a note " + "x" * 200)
    return table


def written(table: Table, file: io.StringIO, *, wide: bool = False) -> list[str]:
    table.write(file, wide=wide)
    return Text.from_ansi(file.getvalue()).plain.splitlines()


def test_a_pipe_has_120_characters(table: Table) -> None:
    header, first, *details, second, start, note = written(table, io.StringIO())
    assert header.split() == ["place", "trial", "why"]
    assert len(first) == PIPE_WIDTH and first.endswith("…") and first.startswith("    1  0000           it was so it")
    assert " ".join(line.strip() for line in details) == ("a=1 " * 30).strip()
    assert all(line.startswith("      a") and len(line) <= PIPE_WIDTH for line in details)
    # A wide character takes two places, and what looks like markup is text.
    assert second == "   12  [red]名[/red]  NaN"
    assert (start, note) == ("[1] a note", "x" * 200)


def test_wide_lines_are_whole(table: Table) -> None:
    _, first, *_ = written(table, io.StringIO(), wide=True)
    assert first.count("it was so") == 30 and first.count("a=1") == 30
    assert written(table, Terminal(), wide=True)[1].count("it was so") == 30


@pytest.mark.parametrize("columns", [9, 40, 300])
def test_a_terminal_has_its_own_width(table: Table, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    lines = written(table, Terminal())
    words = max(len(word) for line in lines for word in line.split())
    assert all(len(line) <= max(columns, 12 + 6, words) for line in lines)
    assert ("why" in lines[0]) == (columns > 30)
    assert ("left out for lack of room: " in "\n".join(lines).replace("\n", " ")) == (columns < 40)


@given(
    st.lists(st.tuples(st.integers(0, 10**12), st.integers(0, 10**6), st.integers(0, 10**9)), min_size=1),
    st.integers(1, 60),
)
def test_what_is_shown_is_whole_and_what_is_not_is_named(rows: list[tuple[int, ...]], width: int) -> None:
    table = Table(("a", "b", "c"), {"a", "b", "c"})
    for row in rows:
        table.add(*map(str, row))
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(table, crop=False)
    header, *lines = console.file.getvalue().splitlines()
    shown = len(header.split())
    assert [line.split() for line in lines] == [[str(number) for number in row[:shown]] for row in rows]
    assert shown == 1 or len(header) <= width
    if shown < 3:
        widths = [max(1, *(len(str(row[column])) for row in rows)) for column in range(shown + 1)]
        assert sum(widths) + 2 * shown > width


def test_in_a_terminal_a_row_has_its_colours(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    file = Terminal()
    table.write(file)
    assert "\x1b[1;32m0000" in file.getvalue().splitlines()[1]
    monkeypatch.setenv("FORCE_COLOR", "1")
    pipe = io.StringIO()
    table.write(pipe)
    assert "\x1b" not in pipe.getvalue()


def test_a_live_display_shows_a_row_on_one_line(table: Table) -> None:
    file = Terminal()
    console = Console(file=file, width=34, force_terminal=True, color_system=None)
    with Live(Group(table, Text("time left")), console=console, auto_refresh=False):
        pass
    lines = [line.rstrip() for line in Text.from_ansi(file.getvalue()).plain.splitlines()]
    assert lines[0] == "place  trial          why" and max(map(len, lines)) <= 34
    assert lines[1] == "    1  0000           it was so i…"
    assert lines[-2:] == ["[1] a note " + "x" * 23, "time left"]


def test_without_rows_there_is_a_header() -> None:
    assert written(Table(("a", "b")), io.StringIO()) == ["a  b"]


def test_cells_details_and_notes_have_no_control_characters_and_no_markup() -> None:
    table = Table(("trial", "\x1b[1morigin"))
    table.add("[red]0[/red]", "a\nb\r\x1b[2J\u202e", details="\x07why")
    table.notes.append("note\u2028\x1b]0;title\x07")
    for wide in (False, True):
        out = io.StringIO()
        table.write(out, wide=wide)
        text = out.getvalue()
        assert r"a\nb\r\x1b[2J\u202e" in text and "[red]0[/red]" in text and r"\x07why" in text
        assert r"note\u2028\x1b]0;title\x07" in text and text.replace("\n", "").isprintable()
    console = Console(file=(out := io.StringIO()), width=120)
    console.print(table)
    assert out.getvalue().replace("\n", "").isprintable()
