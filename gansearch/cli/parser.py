"""Shared by both command lines: one-line errors, nearest names, exit codes, and logging to stderr."""

import argparse
import errno
import logging
import os
import re
import sys
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, NoReturn

from gansearch.errors import TooManyFailures, UserError, one_line
from gansearch.logs import Stderr, visible
from gansearch.text import is_number

logger = logging.getLogger(__name__)

OK, WRONG_INPUT, NO_FID, FAILING, SOME_FAILED, INTERRUPTED = 0, 2, 3, 4, 5, 130

# What the system says of a path that can't be (too long, links in a circle, a file in place of a folder or the reverse)
# or where nothing can be written.
_WRONG_PATH = (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EACCES)
_WAYS_OUT = {
    **dict.fromkeys(_WRONG_PATH, "give another path"),
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "free some space"),
}
_MOST = 2**31 - 1  # of any number: the domains of the options are narrower


class Parser(argparse.ArgumentParser):
    """Reports a wrong command line in one line with the nearest names, in place of argparse's usage text."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["allow_abbrev"] = False
        super().__init__(*args, **kwargs)

    def error(self, message: str) -> NoReturn:
        line = visible(" ".join(f"{self.prog}: {message} (see {self.prog} --help)".split()))
        self.exit(WRONG_INPUT, line + "\n")

    def _get_value(self, action: argparse.Action, text: str) -> Any:
        """Converts the text of any argument of any command; ends with an error where it is empty, or no text."""
        name = action.option_strings[0] if action.option_strings else action.metavar
        path, equals, value = text.partition("=")
        if not text.strip():
            self.error(f"{name} is empty: is a shell variable unset?")
        if action.metavar == "PATH=VALUE" and equals and not value.strip():
            self.error(f"{name} {path}= is empty: is a shell variable unset?")
        if "\0" in text or (not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)):
            self.error(f"{name} {text!r} is no UTF-8 text without NUL: write it anew")
        return super()._get_value(action, text)  # argparse has no public hook for all arguments

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        parsed, rest = super().parse_known_args(args, namespace)
        if rest:
            near = get_close_matches(rest[0].partition("=")[0], self._option_string_actions, n=3, cutoff=0.5)
            hint = f"; did you mean {', '.join(near)}?" if near else ""
            self.error(f"unknown argument {rest[0]!r}{hint}")
        return parsed, rest


def call(prog: str, command: Callable[[], int]) -> int:
    """Runs a command and returns its exit code.

    A UserError, or a path that can't be, becomes one line on stderr and exit code 2, TooManyFailures exit code 4.
    """
    _log_to_stderr()
    try:
        code = command()
        sys.stdout.flush()  # what fails at the end of the process is no line and no exit code of ours
        return code
    except (UserError, TooManyFailures) as error:
        logger.error("%s: %s", prog, one_line(error))
        return WRONG_INPUT if isinstance(error, UserError) else FAILING
    except BrokenPipeError:
        # The reader of a pipe (`| head`) has closed it: nobody reads the rest.
        _drop_output()
        return OK
    except OSError as error:
        if error.errno not in _WAYS_OUT:
            raise
        _drop_output()
        logger.error("%s: %s: %s", prog, one_line(error), _WAYS_OUT[error.errno])
        return WRONG_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED


def _drop_output() -> None:
    """Drops what could not be written to stdout: Python tries it again at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def _log_to_stderr() -> None:
    """Sends the package's log messages to stderr; only results go to stdout."""
    package = logging.getLogger("gansearch")
    package.setLevel(logging.INFO)
    if not any(isinstance(handler, Stderr) for handler in package.handlers):
        package.addHandler(Stderr())


def positive_int(text: str) -> int:
    return _whole(text, 1)


def non_negative_int(text: str) -> int:
    return _whole(text, 0)


def int_from_two(text: str) -> int:
    return _whole(text, 2)


def samples_to(most: int) -> Callable[[str], int]:
    """Returns the type of a number of samples that have a spread: 2 at least, and at most `most`."""

    def number(text: str) -> int:
        if positive_int(text) < 2:
            raise argparse.ArgumentTypeError(f"{text} shows no spread: give 2 at least")
        return _whole(text, 2, most)

    return number


def positive_float(text: str) -> float:
    value = non_negative_float(text)
    if value == 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def non_negative_float(text: str) -> float:
    if not is_number(text) or not 0 <= float(text) <= _MOST:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 0 to {_MOST}, such as 12 or 0.5")
    return float(text)


def _whole(text: str, least: int, most: int = _MOST) -> int:
    if not re.fullmatch(r"[0-9]{1,10}", text) or not least <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from {least} to {most}")
    return int(text)
