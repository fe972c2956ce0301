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


def visible(text: str) -> str:
    r"""Returns a text with everything that is no plain character written out, as `repr` does: `\x1b`, `\n`, `\u202e`.

    Files of a run, and errors in a user's code, say what they like: nothing of that may steer a terminal, hide a line
    or turn it around. All that a command prints goes through here, once or several times.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def visible_lines(text: str) -> str:
    """Returns what `visible` does, of a text that may have several lines."""
    return "\n".join(map(visible, text.split("\n")))


def show(text: object) -> None:
    """Prints one line of a command's results."""
    print(visible(str(text)), flush=True)


@cache
def warn_once(message: str) -> None:
    """Logs a warning, the same message only once per process."""
    _LOGGER.warning("%s", visible(message))


class Stderr(logging.Handler):
    """Writes messages to the current `sys.stderr`, which a live table replaces while the table is shown.

    A message is one line, below which a traceback may follow.
    """

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        traceback = self.format(record).removeprefix(message)
        print(visible(message) + visible_lines(traceback), file=sys.stderr, flush=True)


@contextmanager
def shown_on_stderr() -> Iterator[None]:
    """Writes the package's messages to stderr within the block."""
    handler, level = Stderr(), _LOGGER.level
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
