"""Measures how fast trials of a search would train here: some configurations, on all slots at once."""

import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import ray
import torch
from ray.exceptions import RayError
from ray.util import ActorPool

from gansearch import foreign
from gansearch.config import TrialConfig
from gansearch.data.loader import load_images
from gansearch.device import is_out_of_memory
from gansearch.errors import UserError, kind_and_message, one_line
from gansearch.metrics.reference import Reference
from gansearch.metrics.scorer import Scorer
from gansearch.run.manifest import Plan
from gansearch.search.ray.asking import wait_for
from gansearch.search.ray.cluster import Cluster
from gansearch.search.ray.trainable import device_of
from gansearch.training.artifacts.writer import Artifacts
from gansearch.training.checkpoint import CheckpointDir
from gansearch.training.loop import CHECK_EVERY, Diverged, Trainer, evaluate_next

_SECONDS = 0.5  # for the steps of one configuration
_LONGEST = 8.0  # seconds after which no further configuration is begun


@dataclass(frozen=True)
class Probe:
    """What was measured. Times are in seconds.

    Args:
        images_per_second: The speed of each configuration that did not diverge.
        evaluation: The time of an FID, its artifacts and its checkpoint.
        turnaround: The time in which a trial is built.
        start: The time until Ray and the processes of the trials were ready.
    """

    images_per_second: Sequence[float]
    evaluation: float
    turnaround: float
    start: float


class Prober:
    """An actor in place of one that trains: it has the same resources, and its process starts in the same way."""

    def __init__(
        self,
        names: Iterable[str],
        objects: Mapping[str, Any],
        cpus: float,
        gpus: float,
        reference: Reference,
        base: TrialConfig,
    ) -> None:
        foreign.permit(names)
        foreign.receive(objects)
        self._device = device_of(cpus, gpus)
        self._scorer = Scorer(base.metrics, self._device, reference)
        load_images(base.data, "train")

        self._trainer: Trainer | None = None

    def ready(self) -> None:
        """Returns when the process is ready."""

    def evaluation(self, config: TrialConfig) -> float | None:
        """Returns the time of an FID, its artifacts and its checkpoint; None where the trial fails."""
        shortest = config.optim.d_steps * config.train.batch / 1000
        config = config.override({"train.max_kimg": shortest, "train.evaluations": 1})
        with tempfile.TemporaryDirectory() as folder, _none_where_it_fails():
            trainer = Trainer(config, self._device, self._scorer)
            artifacts = Artifacts(folder, config.artifacts)
            begun = time.perf_counter()
            row = evaluate_next(trainer, CheckpointDir(folder), artifacts)
            artifacts.finish()
            return time.perf_counter() - begun - row.train_seconds
        return None

    def speed(self, config: TrialConfig, latest: float) -> tuple[float, float] | None:
        """Returns images a second and the time in which the trial was built.

        It is None where the trial diverges or does not fit, and at once after the time `latest`.
        """
        begun = time.perf_counter()
        if time.monotonic() > latest:
            return None
        with _none_where_it_fails():
            trainer = Trainer(config, self._device, self._scorer)
            built = time.perf_counter() - begun
            trainer.train(config.optim.d_steps)  # the first steps are slower
            return _images_per_second(trainer, _SECONDS), built
        return None

    def warm(self, config: TrialConfig) -> bool | None:
        """Builds the trial of a configuration and makes its first steps, which compile; None where that fails."""
        with _none_where_it_fails():
            self._trainer = Trainer(config, self._device, self._scorer)
            self._trainer.train(config.optim.d_steps)
            return True
        self.cool()
        return None

    def run(self, seconds: float) -> float | None:
        """Trains what is warm for some seconds; returns the images a second, None where that fails."""
        assert self._trainer is not None, "it is warm"
        with _none_where_it_fails():
            return _images_per_second(self._trainer, seconds)
        return None

    def cool(self) -> None:
        """Frees the memory of what is warm."""
        self._trainer = None
        torch.cuda.empty_cache()


def _images_per_second(trainer: Trainer, seconds: float) -> float:
    period = trainer.config.optim.d_steps  # a G step is in every such number of D steps
    steps = period * max(1, CHECK_EVERY // period)  # so that it waits for the device as seldom as in a trial
    shown, begun = trainer.shown, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        trainer.train(steps)
    return (trainer.shown - shown) / (time.perf_counter() - begun)


@contextmanager
def _none_where_it_fails() -> Iterator[None]:
    """Ends the block where a trial diverges or does not fit its GPU: a search would end that trial."""
    try:
        yield
    except Diverged:
        pass
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise


def probe(
    plan: Plan, cluster: Cluster, reference: Reference, configs: Iterable[TrialConfig], begun: float
) -> Probe | None:
    """Measures configurations, in the Ray of this process, on as many actors as a search has slots, all at once.

    Args:
        plan: The plan of the search.
        cluster: What the search would have.
        reference: The reference of the FIDs.
        configs: Resolved configurations. Where they are slow, only the first ones are measured.
        begun: When Ray was started, by `time.monotonic`.

    Returns:
        What was found, None where the base or every configuration diverges.

    Raises:
        UserError: A configuration can't be trained.
    """
    names = plan.component_names
    actor: Any = ray.remote(**cluster.share)(Prober)
    actors = [
        actor.remote(names, foreign.objects(names), cluster.cpus, cluster.gpus, reference, plan.space.base)
        for _ in range(cluster.slots)
    ]
    with explained_failures():
        ready = [one.ready.remote() for one in actors]
        wait_for(ready, cluster.gpus)
        ray.get(ready)
        start = time.monotonic() - begun
        evaluations = ray.get([one.evaluation.remote(plan.space.base) for one in actors])
        pool, latest = ActorPool(actors), time.monotonic() + _LONGEST
        found = list(pool.map_unordered(lambda one, config: one.speed.remote(config, latest), list(configs)))
    measured = [one for one in found if one is not None]
    if not measured or None in evaluations:
        return None
    speeds, turnarounds = zip(*measured, strict=True)
    return Probe(speeds, fmean(evaluations), fmean(turnarounds), start)


@contextmanager
def explained_failures() -> Iterator[None]:
    """Turns what an actor raises, or that it was lost, into a UserError."""
    try:
        yield
    except RayError as error:
        cause = getattr(error, "cause", None)
        reason = one_line(error) if cause is None else kind_and_message(cause)
        raise UserError(f"a trial of this space fails: {reason}") from error
