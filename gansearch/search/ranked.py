"""Sorted lists that trials leave. With a hundred thousand trials there is no time to search one from its start."""

from bisect import bisect_left
from typing import TypeVar

T = TypeVar("T", tuple[float, int], tuple[float, str])


def discard(ranked: list[T], entry: T) -> None:
    """Takes an entry out of a sorted list, if it is there."""
    index = bisect_left(ranked, entry)
    if ranked[index : index + 1] == [entry]:
        del ranked[index]
