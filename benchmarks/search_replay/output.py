"""Prints what came out of replays, as tables."""

from collections.abc import Sequence
from statistics import fmean, median

import numpy as np

from benchmarks.search_replay.compare import log_ratios, log_time_ratios, overall, ratio, time_to, worst
from benchmarks.search_replay.curves import Order
from benchmarks.search_replay.methods import REFERENCE
from benchmarks.search_replay.problem import Floats
from benchmarks.search_replay.simulate import Rule, Trace

Runs = dict[tuple[str, str, int], Trace]
"""Traces by problem, method and seed."""

_REGRETS = "{:12} {:28} {:>20} {:>13} {:>8} {:>7} {:>9} {:>6}"
_TIMES = "{:12} {:28} {:>20} {:>13} {:>8} {:>7} {:>9} {:>6}"


def _names(runs: Runs, index: int) -> list[str]:
    return list(dict.fromkeys(str(key[index]) for key in runs))


def _of(runs: Runs, problem: str, method: str) -> list[Trace]:
    return [trace for key, trace in runs.items() if key[:2] == (problem, method)]


def _work(traces: Sequence[Trace]) -> tuple[str, str, str]:
    """Returns the means of trials begun, of their cost in full trainings, and of the share of busy time."""
    return (
        f"{fmean(trace.trials for trace in traces):.0f}",
        f"{fmean(trace.trainings for trace in traces):.1f}",
        f"{fmean(trace.busy for trace in traces):.0%}",
    )


def print_regrets(runs: Runs, end: float, rule: Rule) -> None:
    """Prints a line for each method and function, and one over all functions for each method.

    `worst` is the highest ratio of the mean at any time from one full training on. `regret` is a median.
    """
    print(
        _REGRETS.format("function", "method", f"ratio at T={end:g}", "worst", "regret", "trials", "trainings", "busy")
    )
    for method in _names(runs, 1):
        logs: dict[str, Floats] = {}
        for problem in _names(runs, 0):
            found, reference = _of(runs, problem, method), _of(runs, problem, REFERENCE)
            logs[problem] = log_ratios(found, reference, end, rule)
            highest, time = worst(found, reference, end, rule)
            print(
                _REGRETS.format(
                    problem,
                    method,
                    str(ratio(logs[problem])),
                    f"{highest:.2f} T={time:.1f}",
                    f"{median(trace.regret(end, rule) for trace in found):.3f}",
                    *_work(found),
                )
            )
        if len(logs) > 1:
            print(_REGRETS.format("all", method, str(overall(logs)), "", "", "", "", "").rstrip())


def print_times(runs: Runs, problem: str, target: float, end: float) -> None:
    """Prints for each method when a search has completed one of the best configurations of a table.

    `time` is a median. A search that does not come to such a configuration counts with its end.
    """
    print(_TIMES.format("table", "method", "ratio of times", "time", "reached", "trials", "trainings", "busy"))
    reference = _of(runs, problem, REFERENCE)
    for method in _names(runs, 1):
        found = _of(runs, problem, method)
        times = [time_to(trace, target, end) for trace in found]
        logs = log_time_ratios(found, reference, target, end)
        reached = fmean(trace.regret(end) <= target for trace in found)
        print(_TIMES.format(problem, method, str(ratio(logs)), f"{median(times):.2f}", f"{reached:.0%}", *_work(found)))


def print_orders(method: str, orders: Sequence[Order]) -> None:
    """Prints in how many orders a best run was found, and for which share of all evaluations, with 95 % intervals."""
    shares = np.array([order.share for order in orders])
    half = 1.96 * shares.std() / len(shares) ** 0.5
    print(
        f"{method}: a run within 1 % of the best completed in {fmean(order.found for order in orders):.1%} of "
        f"{len(orders)} orders, for {shares.mean():.1%} ± {half:.1%} of the full budget"
    )
