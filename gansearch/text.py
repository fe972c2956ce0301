"""Writes FIDs and lengths, in one way in every table, caption, message and plot; and knows a number by its text."""

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import TypeVar

T = TypeVar("T")

MISSING = "-"
_NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,4})?")


def is_number(text: str) -> bool:
    """Returns whether a text is a finite decimal number; Python reads `1_000`, other scripts' digits and `nan` too."""
    return len(text) <= 400 and _NUMBER.fullmatch(text) is not None and math.isfinite(float(text))


def without_nul(value: T, path: str = "") -> T:
    """Returns what was read from a file; raises ValueError where a text in it has NUL, which no path can have.

    Args:
        value: A tree of mappings and lists.
        path: The dotted path of the value, for the message.
    """
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError(f"{path.removesuffix('.') or 'a text'} has NUL in it: write it anew")
    elif isinstance(value, Mapping):
        for key, one in value.items():
            without_nul(key, f"{path}{key!a}.")
            without_nul(one, f"{path}{key}.")
    elif isinstance(value, list | tuple):
        for one in value:
            without_nul(one, path)
    return value


def fid_text(fid: float | None) -> str:
    """Returns a FID with two decimals, or four below 1."""
    if fid is None:
        return MISSING
    return f"{fid:.2f}" if abs(fid) >= 1 else f"{fid:.4f}"


def kimg_text(kimg: float | None) -> str:
    """Returns a length without the noise of binary fractions: 19.2, not 19.200000000000003."""
    return MISSING if kimg is None else f"{round(kimg, 3):.12g}"


def rough_text(value: float, digits: int = 3) -> str:
    """Returns a finite number with so many significant digits, and never an exponent: 1,230, not 1.23e+03."""
    return f"{Decimal(f'{value:.{digits}g}'):,f}"


def result_text(fid: float, kimg: float) -> str:
    """Returns what a caption says of an evaluation: `FID 3.20 at 1.6 kimg`."""
    return f"FID {fid_text(fid)} at {kimg_text(kimg)} kimg"
