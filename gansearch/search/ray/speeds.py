"""Measures what trains fastest on this machine: which precision, compiled or not, and how many trials at once."""

import itertools
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple

import ray
from ray.exceptions import RayTaskError

from gansearch import foreign
from gansearch.config import TrialConfig
from gansearch.errors import UserError, kind_and_message
from gansearch.metrics.reference import Reference
from gansearch.search.ray.cluster import Cluster, cores
from gansearch.search.ray.probing import Prober

PRECISIONS, COMPILE = ("float32", "bf16"), ("never", "always")
_TRIALS = (1, 2, 4, 8)
_ROUNDS, _SECONDS = 3, 2.0
_GAIN = 1.05  # times as fast, from which more trials, bf16 or compiled code are worth it: less is noise


class Variant(NamedTuple):
    """How trials are trained: in which precision, whether compiled, and how many at once."""

    precision: str
    compile: str
    trials: int


@dataclass(frozen=True)
class Speeds:
    """What was measured.

    Args:
        images_per_second: For each variant that fits, of all its trials together.
        evaluation: The seconds of an FID, its artifacts and its checkpoint, of one trial alone.
    """

    images_per_second: dict[Variant, float]
    evaluation: float | None

    @property
    def best(self) -> Variant:
        """The fastest variant; a plainer one where that is nearly as fast."""
        fastest = max(self.images_per_second.values())
        return next(one for one in variants() if self.images_per_second.get(one, 0.0) * _GAIN >= fastest)


def variants(trials: Collection[int] = _TRIALS) -> Iterator[Variant]:
    """Yields all variants, the plainest first."""
    for count, compile_, precision in itertools.product(trials, COMPILE, PRECISIONS):
        yield Variant(precision, compile_, count)


def measure_speeds(config: TrialConfig, names: Collection[str], cluster: Cluster, reference: Reference) -> Speeds:
    """Measures all variants of a configuration, in the Ray of this process: on one GPU, else on all cores.

    Raises:
        UserError: The configuration can't be trained.
    """
    total = float(cores())
    counts = [count for count in _TRIALS if cluster.gpus or count <= total]
    found: dict[Variant, float] = {}
    evaluation = None
    actor: Any = ray.remote(Prober)
    for count in counts:
        cpus, gpus = (min(1.0, total / count), 1 / count) if cluster.gpus else (total / count, 0.0)
        share = actor.options(num_cpus=cpus, num_gpus=gpus)
        actors = [share.remote(names, foreign.objects(names), cpus, gpus, reference, config) for _ in range(count)]
        try:
            if count == 1:
                evaluation = ray.get(actors[0].evaluation.remote(config))
            for variant in variants([count]):
                speed = _speed(actors, _config_of(variant, config))
                if speed is not None:
                    found[variant] = speed
        except RayTaskError as error:
            raise UserError(f"a trial of this space fails: {kind_and_message(error.cause)}") from error
        finally:
            for one in actors:
                ray.kill(one)
    if not found:
        raise UserError("not even one trial of the base fits the GPU: set train.batch or model.features lower")
    return Speeds(found, evaluation)


def _config_of(variant: Variant, config: TrialConfig) -> TrialConfig:
    return config.override({"train.precision": variant.precision, "train.compile": variant.compile})


def _speed(actors: list[Any], config: TrialConfig) -> float | None:
    """Returns the images a second of all actors together; None where not all of their trials fit."""
    if not ray.get(actors[0].warm.remote(config)):  # the first one compiles, and the others find the code on the disk
        return None
    if not all(ray.get([one.warm.remote(config) for one in actors[1:]])):
        return None
    rounds = [sum(ray.get([one.run.remote(_SECONDS) for one in actors])) for _ in range(_ROUNDS)]
    return median(rounds)
