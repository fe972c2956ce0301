"""Messages to the user: each once, and seen without any set-up."""

import logging
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gansearch import logs
from gansearch.logs import log_duration, visible, visible_lines, warn_once


def test_a_warning_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    warn_once("50 % of a test")
    warn_once("50 % of a test")
    assert caplog.record_tuples == [("gansearch", 30, "50 % of a test")]


def test_a_warning_is_seen_on_stderr_where_nobody_has_set_up_logging() -> None:
    script = "from gansearch.logs import warn_once; warn_once('seen')"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("", "seen\n")


def test_only_a_long_work_is_announced_and_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(log_duration("abc", "a short work", total=3)) == ["a", "b", "c"]
    assert caplog.messages == []
    monkeypatch.setattr(logs, "_SILENT_SECONDS", 0)
    assert list(log_duration("abc", "a long work", total=3)) == ["a", "b", "c"]
    assert caplog.messages == ["a long work: about 0 s"]


def test_a_message_is_one_line_without_control_characters_and_a_traceback_has_its_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = logging.getLogger("gansearch.test")
    monkeypatch.setattr(logging.getLogger("gansearch"), "handlers", [])  # those of commands that ran in this process
    with logs.shown_on_stderr():
        warn_once("from a \x1b[2J file\nlike another line")
        try:
            raise ValueError("mine\u202e")
        except ValueError:
            logger.exception("it failed:\r%s", "\x07")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == r"from a \x1b[2J file\nlike another line"
    assert lines[1:3] == [r"it failed:\r\x07", "Traceback (most recent call last):"]
    assert lines[-1] == r"ValueError: mine\u202e"


EVIL = "\x1b[31mred\x1b[0m\r\x07\x00\x9b\u202e\u2028\u200b\udcff"


@pytest.mark.parametrize("text", ["", "plain words, 1.5 %", "Größe 数 🙂 …", r"C:\x1b", "[red]markup[/red]"])
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert visible(text) == text


def test_what_would_steer_a_terminal_is_written_out() -> None:
    assert visible(EVIL) == r"\x1b[31mred\x1b[0m\r\x07\x00\x9b\u202e\u2028\u200b\udcff"
    assert visible("a\nb\tc") == r"a\nb\tc" and visible_lines("a\x1b\nb") == "a\\x1b\nb"


@given(st.text(st.characters()))
def test_a_visible_text_is_one_printable_line_and_stays_so(text: str) -> None:
    found = visible(text)
    assert found.isprintable() and visible(found) == found
