"""Syne Tune's multi-fidelity schedulers, where that package can be imported: `pip install --no-deps syne-tune`.

Syne Tune 0.16 has no promotion any more: its ASHA stops trials, and differs from one peer to the other by the searcher.
All but `syne-asha` need further packages, which `SCHEDULERS` names.
A proposal of BORE takes some 0.3 s, one of CQR 0.8 s.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks.search_replay.peers import ETA, grace
from benchmarks.search_replay.problem import Problem
from benchmarks.search_replay.simulate import Method, Report, Task
from gansearch.run.domain import Domain
from gansearch.run.space import Space

# The name of a class, and the packages that it needs besides.
SCHEDULERS: Mapping[str, tuple[str, ...]] = {
    "syne-asha": ("ASHA",),
    "syne-bohb": ("BOHB", "statsmodels"),
    "syne-bore": ("ASHABORE", "xgboost"),
    "syne-cqr": ("ASHACQR", "huggingface_hub", "dill", "sortedcontainers"),
}
_EPOCH = datetime.fromtimestamp(0)  # Syne Tune's trials have a time, which decides nothing


@contextmanager
def syne(name: str, problem: Problem, seed: int, workers: int) -> Iterator[Method]:
    """Yields the scheduler of that name. Raises ModuleNotFoundError where a package is missing."""
    evaluations = problem.space.base.train.evaluations
    baselines = import_module("syne_tune.optimizer.baselines")
    kind, *needed = SCHEDULERS[name]
    for package in needed:
        import_module(package)
    scheduler = getattr(baselines, kind)
    np.random.seed(seed)  # some of its searchers draw from numpy's own state
    yield SyneTune(
        scheduler(
            {path: _domain(one.domain) for path, one in problem.space.params.items()},
            metric="fid",
            time_attr="evaluation",
            max_t=evaluations,
            grace_period=grace(evaluations),
            reduction_factor=ETA,
            random_seed=seed,
        ),
        problem.space,
    )


class SyneTune:
    """A `Method` that calls a scheduler in the order of `syne_tune/tuner.py`: `_update_running_trials`.

    Syne Tune knows no conditions: all parameters are proposed, and those that do not apply have no effect. Categories
    are given to it as text, because it takes only choices of one type.
    """

    def __init__(self, scheduler: Any, space: Space) -> None:
        self._scheduler, self._space = scheduler, space
        self._trials: dict[str, Any] = {}

    def ask(self) -> Task | None:
        suggestion = self._scheduler.suggest()
        if suggestion is None:
            return None
        number = len(self._trials)
        trial = SimpleNamespace(trial_id=number, config=dict(suggestion.config), creation_time=_EPOCH)
        self._scheduler.on_trial_add(trial)
        self._trials[str(number)] = trial
        domains = {path: one.domain for path, one in self._space.params.items()}
        values = {path: json.loads(v) if domains[path].is_categorical else v for path, v in trial.config.items()}
        return Task(str(number), self._space.active(values))

    def report(self, task: Task, report: Report) -> bool:
        trial = self._trials[task.trial]
        if report.fid is None:
            self._scheduler.on_trial_error(trial)
            return False
        result = {"fid": report.fid, "evaluation": report.evaluation}
        decision = self._scheduler.on_trial_result(trial, result)
        if decision == "CONTINUE":
            return True
        self._scheduler.on_trial_remove(trial)
        return False


def _domain(domain: Domain) -> Any:
    """Returns a domain in Syne Tune's form."""
    spaces = import_module("syne_tune.config_space")
    if domain.is_categorical:
        return spaces.choice([json.dumps(choice) for choice in domain.choices])
    low, high, log, step = domain.range.low, domain.range.high, domain.range.log, domain.range.step
    if domain.name == "IntDistribution" and step in {None, 1}:
        return (spaces.lograndint if log else spaces.randint)(low, high)
    if step is not None:
        size = round((high - low) / step) + 1
        return spaces.finrange(low, high, size, cast_int=domain.name == "IntDistribution")
    return (spaces.loguniform if log else spaces.uniform)(low, high)
