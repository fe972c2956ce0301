"""Shared by both command lines: one-line errors, nearest names, exit codes, and logging to stderr."""

import argparse
import logging
import sys
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, NoReturn

from gansearch.errors import TooManyFailures, UserError, one_line
from gansearch.logs import Stderr, visible

logger = logging.getLogger(__name__)

OK, WRONG_INPUT, NO_FID, FAILING, SOME_FAILED, INTERRUPTED = 0, 2, 3, 4, 5, 130


class Parser(argparse.ArgumentParser):
    """Reports a wrong command line in one line with the nearest names, in place of argparse's usage text."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["allow_abbrev"] = False
        super().__init__(*args, **kwargs)

    def error(self, message: str) -> NoReturn:
        self.exit(WRONG_INPUT, visible(f"{self.prog}: {message} (see {self.prog} --help)") + "\n")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        parsed, rest = super().parse_known_args(args, namespace)
        if rest:
            near = get_close_matches(rest[0].partition("=")[0], self._option_string_actions, n=3, cutoff=0.5)
            hint = f"; did you mean {', '.join(near)}?" if near else ""
            self.error(f"unknown argument {rest[0]!r}{hint}")
        return parsed, rest


def call(prog: str, command: Callable[[], int]) -> int:
    """Runs a command; a UserError becomes one line on stderr and exit code 2, TooManyFailures one and exit code 4."""
    _log_to_stderr()
    try:
        return command()
    except (UserError, TooManyFailures) as error:
        logger.error("%s: %s", prog, one_line(error))
        return WRONG_INPUT if isinstance(error, UserError) else FAILING
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe (`| head`) has closed it: nobody reads the rest.
        sys.stderr.close()
        return OK


def _log_to_stderr() -> None:
    """Sends the package's log messages to stderr; only results go to stdout."""
    package = logging.getLogger("gansearch")
    package.setLevel(logging.INFO)
    if not any(isinstance(handler, Stderr) for handler in package.handlers):
        package.addHandler(Stderr())


def positive_int(text: str) -> int:
    return _number(text, int, "a whole number above 0", lambda value: value > 0)


def non_negative_int(text: str) -> int:
    return _number(text, int, "a whole number from 0", lambda value: value >= 0)


def positive_float(text: str) -> float:
    return _number(text, float, "a number above 0", lambda value: 0 < value < float("inf"))


def int_from_two(text: str) -> int:
    return _number(text, int, "a whole number from 2", lambda value: value >= 2)


def two_or_more(text: str) -> int:
    """A number of samples that have a spread."""
    if positive_int(text) < 2:
        raise argparse.ArgumentTypeError(f"{text} shows no spread: give 2 at least")
    return int(text)


def non_negative_float(text: str) -> float:
    return _number(text, float, "a number from 0", lambda value: 0 <= value < float("inf"))


def _number(text: str, kind: Callable[[str], Any], wanted: str, fits: Callable[[Any], bool]) -> Any:
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not fits(value):
        raise argparse.ArgumentTypeError(f"{text} is not {wanted}")
    return value
