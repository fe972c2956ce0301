"""Scores generated images against a trial's real ones; built once per process and kept from trial to trial."""

from collections.abc import Iterable, Iterator
from functools import lru_cache

import torch
from torch import Tensor

from gansearch import registry
from gansearch.config import DataConfig, MetricsConfig, TrialConfig
from gansearch.data.loader import load_images
from gansearch.metrics.extractors.base import Extractor, loaded
from gansearch.metrics.fid import Moments
from gansearch.metrics.reference import BATCH, Reference, reference_of
from gansearch.run.protocol import Protocol


class Scorer:
    """FID to a `reference`, which is that of `metrics`, by the extractor on `device`.

    The FID is the mean over pairs of chunks, of which there is but one where `metrics.chunk` is None. Raises UserError
    where the extractor's weights are missing or are not the expected ones.
    """

    def __init__(self, metrics: MetricsConfig, device: torch.device, reference: Reference) -> None:
        self._extractor: Extractor = registry.build("metrics", metrics)
        self._module = loaded(self._extractor, device)
        self.reference = reference.to(device)

    @property
    def protocol(self) -> Protocol:
        return self.reference.protocol

    def fid(self, batches: Iterable[Tensor]) -> float:
        """The FID of the first `num_fake` images of `batches`: uint8 (N, 1 or 3, H, W), on any device.

        Takes no batch more than it needs. ValueError on fewer images, another type or resolution.
        """
        cut, protocol = self.reference.cut, self.protocol
        stream = Stream(batches, protocol.resolution, protocol.num_fake)
        return self.reference.distance(Moments.of(self._features(stream.take(cut.fake))) for _ in range(cut.count))

    def _features(self, batches: Iterable[Tensor]) -> Iterator[Tensor]:
        return (self._extractor.features(self._module, batch) for batch in batches)


class Stream:
    """Batches of images of one `resolution`, `wanted` in all, from which exact numbers of images are taken."""

    def __init__(self, batches: Iterable[Tensor], resolution: int, wanted: int) -> None:
        self._batches = iter(batches)
        self._resolution, self._wanted = resolution, wanted
        self._rest = torch.empty(0)
        self._taken = 0

    def take(self, count: int) -> Iterator[Tensor]:
        """The next `count` images, at most BATCH at a time; ValueError where there are fewer."""
        while count:
            if len(self._rest) == 0:
                self._rest = self._next()
            batch = self._rest[: min(count, BATCH)]
            self._rest = self._rest[len(batch) :]
            self._taken += len(batch)
            count -= len(batch)
            if len(batch):
                yield batch

    def _next(self) -> Tensor:
        batch = next(self._batches, None)
        if batch is None:
            raise ValueError(f"{self._taken} generated images, but the protocol wants {self._wanted}")
        size = self._resolution
        if batch.dtype != torch.uint8 or batch.shape[2:] != (size, size):
            raise ValueError(f"{batch.dtype} images of {tuple(batch.shape)}, not uint8 of {size} x {size}")
        return batch


def scorer_for(config: TrialConfig, device: torch.device) -> Scorer:
    """The scorer of a trial; trials of this process with equal data and metrics sections share one.

    Raises UserError where the data or the extractor's weights are missing or broken.
    """
    return _scorer(config.data.model_dump_json(), config.metrics.model_dump_json(), device)


@lru_cache(maxsize=4)
def _scorer(data: str, metrics: str, device: torch.device) -> Scorer:
    section = MetricsConfig.model_validate_json(metrics)
    images = load_images(DataConfig.model_validate_json(data), section.split)
    return Scorer(section, device, reference_of(section, images, device))
