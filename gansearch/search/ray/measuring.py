"""Measures the reference statistics and the floor of a search, with the share of a trial where trials have GPUs."""

import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from gansearch import foreign, registry
from gansearch.config import TrialConfig
from gansearch.data.loader import load_images
from gansearch.errors import UserError
from gansearch.metrics.extractors.base import unload
from gansearch.metrics.fid import Moments
from gansearch.metrics.floor import floor_of, measured_floor
from gansearch.metrics.reference import BATCH, Reference, is_measured, moments_of, real_features, reference_of
from gansearch.run.protocol import Floor, Protocol
from gansearch.search.ray.asking import ask_nodes
from gansearch.search.ray.cluster import Cluster
from gansearch.search.ray.trainable import device_of, require_same_measure
from gansearch.text import rough_text

logger = logging.getLogger(__name__)

T = TypeVar("T")

_CPU = torch.device("cpu")
_BATCHES = 4  # whose time is measured, after one that warms up


@dataclass(frozen=True)
class _There:
    """What a process on another node needs to measure as the driver would."""

    config: TrialConfig
    protocol: Protocol
    names: Collection[str]
    objects: dict[str, Any]
    cpus: float
    gpus: float

    def device(self) -> torch.device:
        """Prepares this process and returns its device; raises UserError where it would measure something else."""
        foreign.permit(self.names)
        foreign.receive(self.objects)
        require_same_measure(self.config, self.protocol)
        return device_of(self.cpus, self.gpus)

    def seconds(self) -> float:
        """Returns the time that an image takes."""
        device, metrics = self.device(), self.config.metrics
        images = load_images(self.config.data, metrics.split)
        count = min(len(images), (1 + _BATCHES) * BATCH)
        found = real_features(images, torch.arange(count), registry.build("metrics", metrics), device)
        done = len(next(found))
        begun = time.perf_counter()
        for features in found:
            done += len(features.cpu())
        return (time.perf_counter() - begun) / max(1, done - min(done, BATCH))

    def moments(self) -> list[Moments]:
        device, metrics = self.device(), self.config.metrics
        return moments_of(metrics, load_images(self.config.data, metrics.split), device)

    def floor(self, reference: Reference) -> Floor:
        return measured_floor(self.config, reference, self.device())


def measured(
    config: TrialConfig, protocol: Protocol, cluster: Cluster, names: Collection[str]
) -> tuple[Reference, Floor | None]:
    """Returns the reference of a search and its floor, from the cache of this machine where they are there.

    What is not is measured by a task of Ray with the share of a trial, after a line that tells how long it takes; where
    trials have no GPU by this process, with all its cores.

    Args:
        config: The base of the search.
        protocol: The protocol of its FIDs.
        cluster: What the search has, in the Ray of this process.
        names: The names of all components of the search.

    Raises:
        UserError: Features are not finite, or no node can measure.
    """
    images = load_images(config.data, config.metrics.split)
    if not cluster.gpus:
        reference = reference_of(config.metrics, images, _CPU)
        floor = floor_of(config, reference, _CPU)
        unload()
        return reference, floor
    there = _There(config, protocol, names, foreign.objects(names), cluster.cpus, cluster.gpus)
    if not is_measured(config.metrics, images):
        seconds = _asked(cluster, there.seconds) * protocol.num_real
        what = f"{protocol.num_real:,} real images by {protocol.extractor}"
        logger.info("first %s are measured, on a GPU: about %s min, once", what, rough_text(seconds / 60, 2))
    reference = reference_of(config.metrics, images, _CPU, lambda: _asked(cluster, there.moments))
    return reference, floor_of(config, reference, _CPU, lambda: _asked(cluster, lambda: there.floor(reference)))


def _asked(cluster: Cluster, question: Callable[[], T]) -> T:
    """Returns the answer of the first node that lives long enough to give one."""
    for node in cluster.nodes or (None,):  # None: an autoscaler starts one
        answers = ask_nodes([node], lambda: question(), gpus=cluster.gpus)  # Ray takes no method of an object
        if answers:
            return answers[0][1]
    raise UserError("all nodes were lost while the reference statistics were measured: start again")
