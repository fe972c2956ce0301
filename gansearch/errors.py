"""The exception for mistakes of the user, and the hint for an unknown name."""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(ValueError):
    """A wrong command, space, option or data set.

    The message is one line: what is wrong, then how to fix it. The command line prints the message without a
    traceback and exits with 2.
    """


class TooManyFailures(Exception):  # noqa: N818 - it names an outcome of a search
    """Trials fail one after another, for a reason that is not their own. The message is one line, as of a UserError."""


def unknown(what: str, name: str, known: Iterable[str]) -> UserError:
    """Returns the error for a `name` that is not among the `known` names; the message gives the nearest of them."""
    names = sorted(known)
    near = get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}?" if near else f"known: {', '.join(names) or 'none'}"
    return UserError(f"unknown {what} {name!r}; {hint}")


def kind_and_message(error: BaseException) -> str:
    """Returns the type and the message of `error` on one line, for an error in code of the user's."""
    return f"{type(error).__name__}: {one_line(error)}"


def one_line(error: BaseException) -> str:
    """Returns the message of `error` on one line, or the error's type where the message is empty."""
    return " ".join(str(error).split()) or type(error).__name__
