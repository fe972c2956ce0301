"""`--sampler MODULE:CLASS` for a sampler of Optuna's, such as `optuna.samplers:GPSampler`."""

import inspect
import warnings
from functools import cache
from typing import Any, ClassVar

import optuna
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from gansearch.distributions import distribution
from gansearch.registry import component, from_signature
from gansearch.run.domain import Domain
from gansearch.run.space import Space
from gansearch.search.history import History
from gansearch.search.samplers.base import Sampler

_MOST_TRIALS = 500  # Optuna's samplers become slow with many
_LEAST_TRIALS = 10  # with fewer complete ones most of them draw at random


@component
class OptunaSampler(Sampler):
    """A sampler whose options are the arguments of an Optuna sampler.

    It sees a study of the trials at the highest rung that enough of them reached, all of them complete. A trial that
    diverged has the highest FID there. Running trials are running.
    """

    made: ClassVar[type[BaseSampler]]

    def propose(self, space: Space, history: History, seed: int) -> dict[str, Any]:
        with warnings.catch_warnings(category=ExperimentalWarning, action="ignore"):
            study = optuna.create_study(sampler=self._build(seed))
            study.add_trials(_trials(space, history))
            return suggest(study.ask(), space)

    def _build(self, seed: int) -> BaseSampler:
        arguments = dict(vars(self))
        if "seed" in inspect.signature(self.made).parameters:
            arguments["seed"] = seed
        return self.made(**arguments)


def _trials(space: Space, history: History) -> list[FrozenTrial]:
    rung = history.highest_rung(max(_LEAST_TRIALS, len(space.params) + 2)) or history.rungs[0]
    fids = history.fids[rung]
    known = [number for _, number in history.ranked(rung)[: min(_MOST_TRIALS, len(fids))]]
    values: dict[int, float | None] = {number: fids[number] for number in known}
    if known:
        values |= dict.fromkeys(history.diverged[-_MOST_TRIALS:], fids[known[-1]])
    values |= dict.fromkeys(sorted(history.running - values.keys()), None)
    domains = {path: distribution(parameter.domain) for path, parameter in space.params.items()}
    return [
        create_trial(
            state=TrialState.RUNNING if value is None else TrialState.COMPLETE,
            value=value,
            params=dict(history.params[number]),
            distributions={path: domains[path] for path in history.params[number]},
        )
        for number, value in values.items()
    ]


def suggest(trial: optuna.Trial, space: Space) -> dict[str, Any]:
    """Returns Optuna's values for all parameters that apply."""
    chosen: dict[str, Any] = {}
    for path in space.ordered:
        if space.applies(path, chosen):
            chosen[path] = _suggest(trial, path, space.params[path].domain)
    return chosen


def _suggest(trial: optuna.Trial, path: str, domain: Domain) -> Any:
    match distribution(domain):
        case FloatDistribution(low=low, high=high, step=step, log=log):
            return domain.nearest(trial.suggest_float(path, low, high, step=step, log=log))
        case IntDistribution(low=low, high=high, step=step, log=log):
            return trial.suggest_int(path, low, high, step=step, log=log)
    return trial.suggest_categorical(path, domain.choices)


@cache
def adapt(found: Any) -> type[Sampler] | None:
    """Returns a component for a subclass of Optuna's `BaseSampler`, None for anything else."""
    if not (inspect.isclass(found) and issubclass(found, BaseSampler)):
        return None
    return from_signature(found, OptunaSampler, given={"seed"})
