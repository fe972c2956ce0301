"""Measures the reference statistics and the floor of a search, with the share of a trial where trials have GPUs."""

import logging
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import ray
import torch
from ray.exceptions import RayError

from gansearch import foreign, registry
from gansearch.config import TrialConfig
from gansearch.data.loader import load_images
from gansearch.errors import UserError, one_line
from gansearch.metrics.extractors.base import unload
from gansearch.metrics.fid import Moments
from gansearch.metrics.floor import floor_of, measured_floor
from gansearch.metrics.reference import BATCH, Reference, is_measured, moments_of, real_features, reference_of
from gansearch.run.protocol import Floor, Protocol
from gansearch.search.ray.asking import cause_of, wait_for
from gansearch.search.ray.cluster import Cluster
from gansearch.search.ray.trainable import device_of, require_same_measure
from gansearch.text import rough_text

logger = logging.getLogger(__name__)

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


class Measuring:
    """Measures what the FIDs of a search compare with; what the cache of this machine has is not measured again.

    Where trials have GPUs, a task of Ray with the share of a trial measures, after a line that tells how long it takes;
    else this process with all its cores.

    Args:
        config: The base of the search.
        protocol: The protocol of its FIDs.
        cluster: What the search has, in the Ray of this process.
        names: The names of all components of the search.
    """

    def __init__(self, config: TrialConfig, protocol: Protocol, cluster: Cluster, names: Collection[str]) -> None:
        self._config, self._protocol, self._cluster = config, protocol, cluster
        self._there = _There(config, protocol, names, foreign.objects(names), cluster.cpus, cluster.gpus)

    def reference(self) -> Reference:
        """Returns the reference; raises UserError where features are not finite, or no node can measure."""
        config, protocol = self._config, self._protocol
        images = load_images(config.data, config.metrics.split)
        if not self._cluster.gpus:
            reference = reference_of(config.metrics, images, _CPU)
            unload()
            return reference
        if not is_measured(config.metrics, images):
            minutes = rough_text(self._asked("seconds") * protocol.num_real / 60, 2)
            what = f"{protocol.num_real:,} real images by {protocol.extractor}"
            logger.info("first %s are measured, on a GPU: about %s min, once", what, minutes)
        return reference_of(config.metrics, images, _CPU, lambda: self._asked("moments"))

    def floor(self, reference: Reference) -> Floor | None:
        """Returns the floor of FIDs to a reference; raises as `reference` does."""
        if self._cluster.gpus:
            return floor_of(self._config, reference, _CPU, lambda: self._asked("floor", reference))
        floor = floor_of(self._config, reference, _CPU)
        unload()
        return floor

    def _asked(self, method: str, *args: Any) -> Any:
        """Returns what a method of `_There` answers elsewhere."""
        # The process ends with its task: it would keep memory of the GPU.
        task: Any = ray.remote(max_calls=1, **self._cluster.share)(_answer)
        answer = task.remote(self._there, method, *args)
        if method == "seconds":  # the others come after that one, and take as long as was said
            wait_for([answer], self._cluster.gpus)
        try:
            return ray.get(answer)
        except RayError as error:
            cause = one_line(cause_of(error))
            raise UserError(f"the real images can't be measured ({cause}): fix that, then start again") from None


def _answer(there: _There, method: str, *args: Any) -> Any:
    try:
        return getattr(there, method)(*args)
    except UserError as error:
        raise UserError(f"node {ray.util.get_node_ip_address()}: {error}") from None
