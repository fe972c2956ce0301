"""Messages to the user while work goes on, on the standard library's logger `gansearch`.

The command line shows them on stderr. Messages that a user must see are warnings: Python shows warnings on stderr even
where nobody has set up logging, as in a worker process of Ray.
"""

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

T = TypeVar("T")

_LOGGER = logging.getLogger("gansearch")
_SILENT_SECONDS = 3.0


@cache
def warn_once(message: str) -> None:
    """Logs a warning, the same message only once per process."""
    # A file's name may hold bytes that are no text, which neither a log file nor another process could take.
    _LOGGER.warning("%s", message.encode("utf-8", "backslashreplace").decode())


class _Stderr(logging.Handler):
    """Writes messages alone to the current `sys.stderr`, which a live table replaces while the table is shown."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr, flush=True)


@contextmanager
def shown_on_stderr() -> Iterator[None]:
    """Writes the package's messages to stderr within the block."""
    handler, level = _Stderr(), _LOGGER.level
    _LOGGER.addHandler(handler)
    _LOGGER.setLevel(logging.INFO)
    try:
        yield
    finally:
        _LOGGER.removeHandler(handler)
        _LOGGER.setLevel(level)


def log_duration(items: Iterable[T], what: str, total: int) -> Iterator[T]:
    """Yields `items` and, once 3 s have passed, logs about how many seconds all of them will take.

    Args:
        items: What is worked through. The time between two items is the time that one item takes.
        what: The work, as the message names it.
        total: The number of items.
    """
    start, silent = time.monotonic(), True
    for number, item in enumerate(items, start=1):
        yield item
        seconds = time.monotonic() - start
        if silent and seconds > _SILENT_SECONDS:
            silent = False
            warn_once(f"{what}: about {seconds / number * total:.0f} s")
