"""Ray Tune's own searchers and its ASHA, as a user of Ray would set them up."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.distributions import FloatDistribution, IntDistribution, json_to_distribution
from optuna.samplers import BaseSampler, RandomSampler
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch
from ray.tune.utils import flatten_dict

from benchmarks.search_replay.problem import Problem
from benchmarks.search_replay.simulate import Method, Task
from benchmarks.search_replay.tune import Tune
from gansearch.run.space import Space

ETA = 3


def grace(evaluations: int) -> int:
    """Returns the evaluations before a peer's first rung: a tenth of all, so at least the spacing of ours."""
    return max(1, round(evaluations / 10))


@contextmanager
def ray_random(problem: Problem, seed: int, workers: int) -> Iterator[Method]:
    """Yields random search with Ray's ASHA: the reference of all ratios."""
    yield _with_asha(problem, workers, RandomSampler(seed=seed))


@contextmanager
def ray_optuna(problem: Problem, seed: int, workers: int) -> Iterator[Method]:
    """Yields Ray's `OptunaSearch`, whose default is TPE, with Ray's ASHA."""
    yield _with_asha(problem, workers, None, seed)


def _with_asha(problem: Problem, workers: int, sampler: BaseSampler | None, seed: int | None = None) -> Tune:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    train = problem.space.base.train
    evaluations = train.evaluations
    searcher = OptunaSearch(space=suggesting(problem.space), metric="fid", mode="min", sampler=sampler, seed=seed)
    asha = ASHAScheduler(
        metric="fid", mode="min", max_t=evaluations, grace_period=grace(evaluations), reduction_factor=ETA
    )

    def task(trial_id: str, config: dict[str, Any]) -> Task:
        return Task(trial_id, flatten_dict(config))

    return Tune(searcher, asha, task, train.eval_images, workers)


def suggesting(space: Space) -> Callable[[Any], None]:
    """Returns a function that asks an Optuna trial for the parameters that apply."""
    distributions = {path: json_to_distribution(space.params[path].domain.model_dump_json()) for path in space.ordered}

    def suggest(trial: Any) -> None:
        chosen: dict[str, Any] = {}
        for path, values in distributions.items():
            if not space.applies(path, chosen):
                continue
            match values:
                case FloatDistribution(low=low, high=high, step=step, log=log):
                    chosen[path] = trial.suggest_float(path, low, high, step=step, log=log)
                case IntDistribution(low=low, high=high, step=step, log=log):
                    chosen[path] = trial.suggest_int(path, low, high, step=step, log=log)
                case _:
                    chosen[path] = trial.suggest_categorical(path, space.params[path].domain.choices)

    return suggest
