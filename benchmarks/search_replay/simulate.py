"""A virtual cluster: workers train what a method asks for, on a virtual clock. No result depends on wall time."""

import heapq
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Literal, Protocol

import numpy as np

from benchmarks.search_replay.problem import Curve, Problem

Rule = Literal["completed", "longest", "lowest"]
"""Which trial is the incumbent, whose value at full length makes the regret.

`completed` (the default everywhere): the best trial of full length; before there is one, the regret is that of the
median configuration drawn at random, for all methods alike. This is what counts in the benchmarks of mf-prior-bench:
the best value at the highest fidelity. `longest`: of the trials with most evaluations so far, the one with the lowest
last FID. `lowest`: the trial with the lowest FID of all, at whatever length, as `analyze.py rank` chooses. With the
noise of the functions here that is a trial that was lucky at its first evaluation.
"""
RULES: tuple[Rule, ...] = ("completed", "longest", "lowest")


@dataclass(frozen=True)
class Cluster:
    """Workers that train one trial each.

    Args:
        workers: How many train at once.
        trainings: The end of the search, in full trainings of one worker.
        spread: The spread of the trials' speed: the standard deviation of the logarithm of a trial's time.
    """

    workers: int = 8
    trainings: float = 5.0
    spread: float = 0.1


@dataclass(frozen=True)
class Task:
    """A training that a method wants: of trial `trial`, which has made `done` evaluations in an earlier task."""

    trial: str
    params: Mapping[str, Any]
    done: int = 0


@dataclass(frozen=True)
class Report:
    """What a training reports.

    Args:
        evaluation: Which one it is, from 1 on.
        fid: The FID; None where the training diverged in place of this evaluation.
        is_last: Whether the training ends by itself: at full length, or diverged.
        time: The time that the training took since its report before, in full trainings.
    """

    evaluation: int
    fid: float | None
    is_last: bool
    time: float


class Method(Protocol):
    """A searcher and a scheduler."""

    def ask(self) -> Task | None:
        """Returns the next task for a free worker; None where there is none now. It is asked again after each event."""
        ...

    def report(self, task: Task, report: Report) -> bool:
        """Takes a report, and returns whether the training goes on. Its return value for a last report is ignored."""
        ...


@dataclass
class Trace:
    """What happened in a search.

    Args:
        times: When the search knew more, in full trainings of one worker; the first is 0.
        regrets: By rule the regret of the incumbent from each of the times on.
        trials: How many configurations were begun.
        trainings: The evaluations that were made, in full trainings.
        busy: The share of the workers' time in which they trained.
        diverged: How many trials diverged.
    """

    times: list[float] = field(default_factory=list)
    regrets: dict[Rule, list[float]] = field(default_factory=lambda: {rule: [] for rule in RULES})
    trials: int = 0
    trainings: float = 0.0
    busy: float = 0.0
    diverged: int = 0

    def regret(self, time: float, rule: Rule = "completed") -> float:
        """Returns the regret that the search has come to at a time."""
        return self.regrets[rule][int(np.searchsorted(self.times, time, side="right")) - 1]


@dataclass
class _Trial:
    """A trial on the cluster: its curve, the time of an evaluation, and how many were made."""

    curve: Curve
    interval: float
    made: int = 0
    training: bool = False


def simulate(method: Method, problem: Problem, seed: int, cluster: Cluster) -> Trace:
    """Runs a search to its end and returns its trace.

    Trials in the order of their first start have the same speeds under each method, and equal configurations the same
    FIDs, where the seed is the same.

    Raises:
        RuntimeError: The method trains a trial twice at once, or lets it go on from where it has not been.
    """
    evaluations = problem.space.base.train.evaluations
    objective, trace, best = problem.objective(seed), Trace(), _Incumbents(problem, evaluations)
    trials: dict[str, _Trial] = {}
    events: list[tuple[float, int, Task]] = []
    order = count()  # decides between events of the same time

    def fill(now: float) -> None:
        while len(events) < cluster.workers and (task := method.ask()) is not None:
            if task.trial not in trials:
                speed = np.random.default_rng([seed, len(trials)]).normal(0, cluster.spread)
                trials[task.trial] = _Trial(objective(task.params), math.exp(speed) / evaluations)
            trial = trials[task.trial]
            if trial.training or trial.made != task.done:
                raise RuntimeError(f"trial {task.trial} is to start at {task.done} evaluations, it has {trial.made}")
            trial.training = True
            schedule(now, task, trial)

    def schedule(now: float, task: Task, trial: _Trial) -> None:
        heapq.heappush(events, (now + trial.interval, next(order), task))
        trace.busy += max(0.0, min(now + trial.interval, cluster.trainings) - now)

    best.extend(trace, 0.0)
    fill(0.0)
    while events and events[0][0] <= cluster.trainings:
        now, _, task = heapq.heappop(events)
        trial = trials[task.trial]
        trial.made += 1
        fid = float(trial.curve.fids[trial.made - 1]) if trial.made <= len(trial.curve.fids) else None
        report = Report(trial.made, fid, fid is None or trial.made == evaluations, trial.interval)
        trace.trainings += 1 / evaluations
        trace.diverged += fid is None
        if fid is not None and best.add(trial.made, fid, trial.curve.value):
            best.extend(trace, now)
        goes_on = method.report(task, report)
        if goes_on and not report.is_last:
            schedule(now, task, trial)
        else:
            trial.training = False
        fill(now)
    trace.trials = len(trials)
    trace.busy /= cluster.workers * cluster.trainings
    return trace


class _Incumbents:
    """The incumbent by each rule, as (its rank by that rule, its regret)."""

    def __init__(self, problem: Problem, evaluations: int) -> None:
        self._optimum, self._evaluations = problem.optimum, evaluations
        nothing = ((math.inf,), problem.typical - problem.optimum)
        self._incumbent: dict[Rule, tuple[tuple[float, ...], float]] = dict.fromkeys(RULES, nothing)
        self._incumbent["completed"] = ((problem.typical,), nothing[1])

    def add(self, evaluation: int, fid: float, value: float) -> bool:
        """Takes an evaluation of a trial with that value at full length; returns whether an incumbent changes."""
        ranks: dict[Rule, tuple[float, ...]] = {"longest": (-evaluation, fid), "lowest": (fid,)}
        if evaluation == self._evaluations:
            ranks["completed"] = (value,)
        better = {rule: rank for rule, rank in ranks.items() if rank < self._incumbent[rule][0]}
        self._incumbent |= {rule: (rank, value - self._optimum) for rule, rank in better.items()}
        return bool(better)

    def extend(self, trace: Trace, now: float) -> None:
        trace.times.append(now)
        for rule, (_, regret) in self._incumbent.items():
            trace.regrets[rule].append(regret)
