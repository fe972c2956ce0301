"""What is done by one at a time, seen from inside one process: the lock is between file handles."""

import threading
import time
from pathlib import Path

import pytest

from gansearch.lock import one_at_a_time


def test_the_second_waits_for_the_first_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    order = []

    def second() -> None:
        with one_at_a_time(tmp_path / "deep" / ".lock", "the second's work"):
            order.append("second")

    thread = threading.Thread(target=second)
    said = ""
    with one_at_a_time(tmp_path / "deep" / ".lock", "the first's work"):
        thread.start()
        deadline = time.monotonic() + 30
        while not said and time.monotonic() < deadline:
            time.sleep(0.01)
            said = caplog.text
        order.append("first")
    thread.join()
    assert caplog.messages == ["waiting for another process: the second's work"] and order == ["first", "second"]


def test_it_is_free_again_after_an_error(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(KeyError), one_at_a_time(tmp_path / ".lock", "work"):
            raise KeyError
