"""The one exception that a user's mistake raises, and the hint that goes with an unknown name."""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(ValueError):
    """A wrong command, space, option or data set.

    Its message is one line: what is wrong, then how to mend it. The command line prints it without a
    traceback and exits with 2.
    """


def unknown(what: str, name: str, known: Iterable[str]) -> UserError:
    """Builds the error for a `name` that is not among the `known` ones; names the nearest of them."""
    names = sorted(known)
    near = get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}?" if near else f"known: {', '.join(names) or 'none'}"
    return UserError(f"unknown {what} {name!r}; {hint}")


def one_line(error: BaseException) -> str:
    """The message of `error` on one line, or its type where it has none."""
    return " ".join(str(error).split()) or type(error).__name__
