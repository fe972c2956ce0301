"""Medians with intervals. A trial that diverged counts as `inf`, which only a median can bear."""

import math
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

LEAST = 8
"""From so many values on there are quartiles and intervals to show."""


class Box(NamedTuple):
    """What a box shows of some FIDs.

    Args:
        trials: How many values there are.
        low: The lowest value.
        quartiles: The first quartile, the median and the third.
        high: The highest value.
        interval: The 95 % confidence interval of the median.
    """

    trials: int
    low: float
    quartiles: tuple[float, float, float]
    high: float
    interval: tuple[float, float]


def box(values: Sequence[float]) -> Box | None:
    """Returns the box of some values; None where there are fewer than 8."""
    if len(values) < LEAST:
        return None
    ranked = sorted(values)
    first, middle, third = (quantile(ranked, share) for share in (0.25, 0.5, 0.75))
    return Box(len(ranked), ranked[0], (first, middle, third), ranked[-1], median_interval(ranked))


def quantile(ranked: Sequence[float], share: float) -> float:
    """Returns a quantile of sorted values, on the line between two neighbours, or `inf` where the upper one is."""
    place = share * (len(ranked) - 1)
    low, weight = ranked[math.floor(place)], place - math.floor(place)
    high = ranked[math.ceil(place)]
    return low if weight == 0 else high if math.isinf(high) else low + weight * (high - low)


def median_interval(ranked: Sequence[float]) -> tuple[float, float]:
    """Returns an interval of two of the sorted values that has the median of the population in it in 95 of 100 cases.

    Nothing is assumed of the distribution (Conover, Practical Nonparametric Statistics, 1999, section 3.2).
    """
    out = _outside(len(ranked))
    return ranked[out], ranked[-1 - out]


@cache
def _outside(count: int) -> int:
    """Returns how many values at each end lie outside the interval of the median."""
    out, tail = -1, 0.0  # the probability that at most `out` of the values lie below the median
    while (tail := tail + _chance(count, out + 1)) <= 0.025:
        out += 1
    return max(out, 0)


def _chance(count: int, below: int) -> float:
    """Returns the probability that so many of `count` values lie below the median."""
    ways = math.lgamma(count + 1) - math.lgamma(below + 1) - math.lgamma(count - below + 1)
    return math.exp(ways - count * math.log(2))
