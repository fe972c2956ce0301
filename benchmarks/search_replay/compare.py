"""Ratios of regrets between methods, with confidence intervals.

Runs are paired: with the same seed two methods see the same speeds of trials and the same noise. The logarithm of the
ratio of their regrets is one observation per seed. Its mean is the logarithm of a geometric mean ratio, and the
interval is Student's t for that mean. Over several functions the observation of a seed is the mean over functions.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

from benchmarks.interval import Interval
from benchmarks.search_replay.problem import Floats
from benchmarks.search_replay.simulate import Rule, Trace

FLOOR = 1e-3  # of a regret: below that, a ratio of two regrets is a matter of luck in the last digits


def log_ratios(traces: Sequence[Trace], reference: Sequence[Trace], time: float, rule: Rule) -> Floats:
    """Returns the logarithms of the ratios of regrets at a time, one a seed, shape (seeds,)."""
    pairs = zip(traces, reference, strict=True)
    return np.array([math.log(_floored(a, time, rule) / _floored(b, time, rule)) for a, b in pairs])


def ratio(logs: Floats) -> Interval:
    """Returns the geometric mean of ratios given by their logarithms, shape (seeds,)."""
    mean = float(np.mean(logs))
    if len(logs) < 2:
        return Interval(math.exp(mean), math.nan, math.nan)
    half = float(stats.t.ppf(0.975, len(logs) - 1) * stats.sem(logs))
    return Interval(math.exp(mean), math.exp(mean - half), math.exp(mean + half))


def worst(traces: Sequence[Trace], reference: Sequence[Trace], end: float, rule: Rule) -> tuple[float, float]:
    """Returns the highest geometric mean ratio at any time from one full training on, and that time."""
    times = np.arange(1.0, end + 1e-9, 0.1) if end > 1 else np.array([end])
    means = [float(np.exp(np.mean(log_ratios(traces, reference, time, rule)))) for time in times]
    index = int(np.argmax(means))
    return means[index], float(times[index])


def time_to(trace: Trace, target: float, end: float) -> float:
    """Returns when a search has completed a trial of a regret of at most `target`; `end` where it never has."""
    reached = (time for time, regret in zip(trace.times, trace.regrets["completed"], strict=True) if regret <= target)
    return next(reached, end)


def log_time_ratios(traces: Sequence[Trace], reference: Sequence[Trace], target: float, end: float) -> Floats:
    """Returns the logarithms of the ratios of the times to a target, one a seed, shape (seeds,)."""
    pairs = zip(traces, reference, strict=True)
    return np.array([math.log(time_to(a, target, end) / time_to(b, target, end)) for a, b in pairs])


def overall(by_function: Mapping[str, Floats]) -> Interval:
    """Returns the geometric mean over functions, of logarithms of ratios by function, each of shape (seeds,)."""
    return ratio(np.mean(np.stack(list(by_function.values())), axis=0))


def _floored(trace: Trace, time: float, rule: Rule) -> float:
    return max(FLOOR, trace.regret(time, rule))
