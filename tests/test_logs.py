"""Messages to the user: each once, and seen without any set-up."""

import subprocess
import sys

import pytest

from gansearch import logs
from gansearch.logs import log_duration, warn_once


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
