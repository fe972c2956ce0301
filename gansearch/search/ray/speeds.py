"""Measures what trains fastest on this machine: which precision, compiled or not, and how many trials at once."""

import itertools
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from gansearch import foreign
from gansearch.config import TrialConfig
from gansearch.errors import UserError
from gansearch.metrics.reference import Reference
from gansearch.search.ray.asking import killed, wait_for
from gansearch.search.ray.cluster import Cluster
from gansearch.search.ray.probing import Prober, explained_failures

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
    """Measures all variants of a configuration, in the Ray of this process: on one GPU, else on all cores of one node.

    Raises:
        UserError: The configuration can't be trained, or not even one trial fits.
    """
    if not cluster.holding:
        raise UserError("no node that could hold a trial is up: start one, or measure on a machine of its own")
    node = max(cluster.holding, key=lambda node: node["Resources"]["CPU"])
    cores = node["Resources"]["CPU"]
    there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
    found: dict[Variant, float] = {}
    evaluation = None
    actor: Any = ray.remote(Prober)
    for count in _TRIALS:
        if not cluster.gpus and count > cores:
            continue
        cpus, gpus = cores / count, 1 / count if cluster.gpus else 0.0
        share = actor.options(num_cpus=min(1.0, cpus) if gpus else cpus, num_gpus=gpus, scheduling_strategy=there)
        actors = [share.remote(names, foreign.objects(names), cpus, gpus, reference, config) for _ in range(count)]
        with explained_failures(), killed(actors):
            wait_for([one.ready.remote() for one in actors], gpus)
            if count == 1:
                evaluation = ray.get(actors[0].evaluation.remote(config))
            for variant in variants([count]):
                speed = _speed(actors, _config_of(variant, config))
                if speed is not None:
                    found[variant] = speed
    if not found:
        raise UserError("not even one trial of the base fits here: set train.batch or model.features lower")
    return Speeds(found, evaluation)


def _config_of(variant: Variant, config: TrialConfig) -> TrialConfig:
    return config.override({"train.precision": variant.precision, "train.compile": variant.compile})


def _speed(actors: list[Any], config: TrialConfig) -> float | None:
    """Returns the images a second of all actors together; None where not all of their trials fit."""
    ray.get([one.cool.remote() for one in actors])
    for some in (actors[:1], actors[1:]):  # the first one compiles, and the others find the code on the disk
        if not all(ray.get([one.warm.remote(config) for one in some])):
            return None
    rounds = [ray.get([one.run.remote(_SECONDS) for one in actors]) for _ in range(_ROUNDS)]
    return None if any(None in speeds for speeds in rounds) else median(map(sum, rounds))
