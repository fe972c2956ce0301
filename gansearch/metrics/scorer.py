"""The FID of generated images against the real ones of a trial; a scorer is built once per process and reused."""

from collections.abc import Iterable, Iterator
from functools import lru_cache

import torch
from torch import Tensor

from gansearch import registry
from gansearch.config import DataConfig, MetricsConfig, TrialConfig
from gansearch.data.loader import load_images
from gansearch.device import Halving
from gansearch.metrics.extractors.base import Extractor, loaded
from gansearch.metrics.fid import fid_over_chunks
from gansearch.metrics.reference import BATCH, Reference, reference_of
from gansearch.run.protocol import Protocol


class Scorer:
    """Measures FIDs to a reference, with the extractor on `device`."""

    def __init__(self, metrics: MetricsConfig, device: torch.device, reference: Reference) -> None:
        """Loads the extractor. `reference` must be the reference that `metrics` describes.

        Raises:
            UserError: If the weights of the extractor are missing or wrong.
        """
        self._extractor: Extractor = registry.build("metrics", metrics)
        self._module, self._halving = loaded(self._extractor, device), Halving()
        self.reference = reference.to(device)

    @property
    def protocol(self) -> Protocol:
        return self.reference.protocol

    def fid(self, batches: Iterable[Tensor]) -> float:
        """Computes the FID of the first `protocol.num_fake` images of `batches`; no further batch is read.

        Args:
            batches: Batches of images, uint8 (N, 1 or 3, H, W), on any device.

        Raises:
            ValueError: If there are fewer images, or images of another type or resolution.
        """
        chunking = self.reference.chunking
        reader = BatchReader(batches, self.protocol.resolution, self.protocol.num_fake)
        chunks = (
            (self._halving(self._features, images) for images in reader.read(chunking.fake_size))
            for _ in range(chunking.count)
        )
        return fid_over_chunks(self.reference.moments, chunks)

    def _features(self, images: Tensor) -> Tensor:
        return self._extractor.features(self._module, images)


class BatchReader:
    """Reads exact numbers of images from batches of any size; `num_images` are expected in all."""

    def __init__(self, batches: Iterable[Tensor], resolution: int, num_images: int) -> None:
        self._batches = iter(batches)
        self._resolution, self._num_images = resolution, num_images
        self._rest = torch.empty(0)  # what is left of the newest batch
        self._read = 0

    def read(self, count: int) -> Iterator[Tensor]:
        """Yields the next `count` images in batches of at most 256.

        Raises:
            ValueError: If there are fewer images, or images of another type or resolution.
        """
        while count:
            if len(self._rest) == 0:
                self._rest = self._next_batch()
            batch = self._rest[: min(count, BATCH)]
            self._rest = self._rest[len(batch) :]
            self._read += len(batch)
            count -= len(batch)
            if len(batch):
                yield batch

    def _next_batch(self) -> Tensor:
        batch = next(self._batches, None)
        if batch is None:
            raise ValueError(f"{self._read} generated images, but the protocol needs {self._num_images}")
        size = self._resolution
        if batch.dtype != torch.uint8 or batch.shape[2:] != (size, size):
            raise ValueError(f"{batch.dtype} images of {tuple(batch.shape)}, not uint8 of {size} x {size}")
        return batch


def scorer_for(config: TrialConfig, device: torch.device) -> Scorer:
    """Returns the scorer of a trial; trials of this process with equal `data` and `metrics` sections share one.

    Raises:
        UserError: If the data or the weights of the extractor are missing or broken.
    """
    return _scorer(config.data.model_dump_json(), config.metrics.model_dump_json(), device)


@lru_cache(maxsize=4)
def _scorer(data: str, metrics: str, device: torch.device) -> Scorer:
    section = MetricsConfig.model_validate_json(metrics)
    images = load_images(DataConfig.model_validate_json(data), section.split)
    return Scorer(section, device, reference_of(section, images, device))
