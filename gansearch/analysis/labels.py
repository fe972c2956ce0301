"""Shortens names and choices to the room that a picture has for them."""

import re
import textwrap
from collections.abc import Sequence

_NARROWEST = 4  # characters of a line
_MODULE = re.compile(r"^[\w.]+:(?=\w+$)")


class _Wrapper(textwrap.TextWrapper):
    """Folds at spaces, after punctuation in a word, and before a capital letter in a word."""

    wordsep_re = re.compile(r"(\s+)|(?<=\w[-_.:/])(?=\w)|(?<=[a-z0-9])(?=[A-Z])")


def fit_label(text: str, width: int, lines: int = 1) -> str:
    """Returns a text in at most so many lines of `width` characters; one that is too long loses its middle."""
    folded = (_folded(_cut(text, size), width) for size in range(len(text), 0, -1))
    return next(("\n".join(found) for found in folded if len(found) <= lines), text)


def fit_labels(texts: Sequence[str], width: int, lines: int = 1) -> list[str]:
    """Returns some texts as `fit_label` does, and no two alike that differ.

    Where one is longer than a line, MODULE:CLASS becomes CLASS, if each text stays unique so.
    """
    names, differ = list(texts), len(set(texts))
    if any(len(text) > width for text in texts):
        classes = [_MODULE.sub("", text) for text in texts]
        names = classes if len(set(classes)) == differ else names
    found = [fit_label(name, width, lines) for name in names]
    if len(set(found)) < differ:
        found = [fit_label(f"{number} {name}", width, lines) for number, name in enumerate(names, 1)]
    return found


def _folded(text: str, width: int) -> list[str]:
    return _Wrapper(max(width, _NARROWEST)).wrap(text)


def _cut(text: str, size: int) -> str:
    """Returns a text with so many characters: where it has more, `…` stands for its middle."""
    if size >= len(text):
        return text
    head = size // 2
    return f"{text[:head]}…{text[len(text) - (size - 1 - head) :]}"
