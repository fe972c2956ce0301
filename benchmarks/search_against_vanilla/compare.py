"""The arithmetic of a comparison between ours and another side, paired by seed."""

import math
from collections.abc import Sequence

import numpy as np

from benchmarks.interval import Interval
from benchmarks.search_against_vanilla.outcome import Outcome

_RESAMPLES = 10_000


def time_to(outcome: Outcome, target: float) -> float:
    """Returns after how many seconds a search had an FID of at most `target`; infinity where it never had."""
    return next((reading.seconds for reading in outcome.course if reading.fid <= target), math.inf)


def shares(ours: Sequence[Outcome], theirs: Sequence[Outcome]) -> list[float]:
    """Returns for each seed when ours had the FID that theirs had at the end, as a share of the time budget."""
    pairs = zip(ours, theirs, strict=True)
    return [time_to(mine, their.fid) / mine.budget for mine, their in pairs]


def ratio_of_medians(theirs: Sequence[float], ours: Sequence[float]) -> Interval:
    """Returns the median of `theirs` over that of `ours`, which belong together by seed.

    The interval is that of the percentile bootstrap over seeds (Efron 1979), which draws pairs. It never leaves the
    range of what was seen, so with few seeds it is rather too narrow.
    """
    pairs = np.array([theirs, ours], dtype=float)
    value = float(np.divide(*np.median(pairs, axis=1)))
    count = pairs.shape[1]
    if count < 2:
        return Interval(value, math.nan, math.nan)
    drawn = pairs[:, np.random.default_rng(0).integers(count, size=(_RESAMPLES, count))]
    low, high = np.percentile(np.divide(*np.median(drawn, axis=2)), [2.5, 97.5])
    return Interval(value, float(low), float(high))
