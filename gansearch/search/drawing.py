"""Draws the parameters of a trial: by a sampler, at random, or by Optuna's `suggest` methods."""

from typing import Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution, json_to_distribution
from optuna.samplers import RandomSampler

from gansearch.errors import UserError
from gansearch.run.domain import Domain
from gansearch.run.space import Space
from gansearch.search.history import History
from gansearch.search.samplers.base import Sampler

_DRAWS = 32  # of the sampler, until one is not forbidden
_RANDOM_DRAWS = 2000


def draw(space: Space, history: History, sampler: Sampler, seed: int) -> dict[str, Any]:
    """Returns a sampler's proposal for the next trial, which is never a forbidden combination.

    Raises:
        UserError: Neither the sampler nor random draws find parameters that are not forbidden.
    """
    for again in range(_DRAWS):
        params = sampler.propose(space, history, (seed + again * 0x9E3779B1) % 2**32)
        if space.violated(params) is None:
            return params
    return draw_at_random(space, seed)


def draw_at_random(space: Space, seed: int) -> dict[str, Any]:
    """Returns parameters drawn uniformly from their domains, and drawn again while they are forbidden.

    Raises:
        UserError: A large number of draws in a row is forbidden.
    """
    sampler, study = RandomSampler(seed=seed), optuna.create_study()
    study.ask()
    (unused,) = study.get_trials()  # random draws do not look at the trial that Optuna passes on
    distributions = {path: distribution(space.params[path].domain) for path in space.ordered}
    for _ in range(_RANDOM_DRAWS):
        params: dict[str, Any] = {}
        for path, values in distributions.items():
            if space.applies(path, params):
                params[path] = sampler.sample_independent(study, unused, path, values)
        clause = space.violated(params)
        if clause is None:
            return params
    raise UserError(
        f"{_RANDOM_DRAWS} random trials of this space in a row are forbidden, for instance by {clause}: remove or "
        "narrow that"
    )


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
            return trial.suggest_float(path, low, high, step=step, log=log)
        case IntDistribution(low=low, high=high, step=step, log=log):
            return trial.suggest_int(path, low, high, step=step, log=log)
    return trial.suggest_categorical(path, domain.choices)


def distribution(domain: Domain) -> BaseDistribution:
    """Returns the Optuna distribution of a domain."""
    return json_to_distribution(domain.model_dump_json())
