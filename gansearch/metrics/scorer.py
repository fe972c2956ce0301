"""Scores generated images against a trial's real ones; built once per process and kept from trial to trial."""

from collections.abc import Iterable, Iterator
from functools import lru_cache

import torch
from torch import Tensor

from gansearch import registry
from gansearch.config import DataConfig, MetricsConfig, TrialConfig
from gansearch.data.base import RESIZE_FILTER, Images
from gansearch.data.loading import load_images
from gansearch.metrics.extractors.base import Extractor
from gansearch.metrics.fid import Moments, frechet_distance
from gansearch.metrics.protocol import Protocol
from gansearch.metrics.reference import BATCH, reference_moments


class Scorer:
    """FID under one protocol: the extractor on `device` and the moments of the `reference` images.

    Raises UserError where the extractor's weights are missing or are not the expected ones.
    """

    protocol: Protocol

    def __init__(self, config: TrialConfig, device: torch.device, reference: Images) -> None:
        self._extractor: Extractor = registry.build("metrics", config.metrics)
        self._module = self._extractor.load(device)
        self._reference = reference_moments(reference, self._extractor, self._module)
        self.protocol = Protocol(
            extractor=self._extractor.name,
            weights_sha256=self._extractor.weights_hash(),
            data=reference.fingerprint,
            split=config.metrics.split,
            num_real=len(reference),
            num_fake=config.metrics.num_fake,
            resolution=reference.shape[1],
            resize=RESIZE_FILTER,
            dtype="float32",
            seed=config.metrics.seed,
        )

    def fid(self, batches: Iterable[Tensor]) -> float:
        """The FID of the first `num_fake` images of `batches`: uint8 (N, 1 or 3, H, W), on any device.

        Takes no batch more than it needs. ValueError on fewer images, another type or resolution.
        """
        needed = self.protocol.num_fake
        fake = Moments.of(self._extractor.features(self._module, batch) for batch in self._exactly(needed, batches))
        return frechet_distance(self._reference, fake)

    def _exactly(self, needed: int, batches: Iterable[Tensor]) -> Iterator[Tensor]:
        missing = needed
        for batch in batches:
            size = self.protocol.resolution
            if batch.dtype != torch.uint8 or batch.shape[2:] != (size, size):
                raise ValueError(f"{batch.dtype} images of {tuple(batch.shape)}, not uint8 of {size} x {size}")
            yield from batch[:missing].split(BATCH)
            missing -= len(batch)
            if missing <= 0:
                return
        raise ValueError(f"{needed - missing} generated images, but the protocol wants {needed}")


def scorer_for(config: TrialConfig, device: torch.device) -> Scorer:
    """The scorer of a trial; trials of this process with equal data and metrics sections share one.

    Raises UserError where the data or the extractor's weights are missing or broken.
    """
    return _scorer(config.data.model_dump_json(), config.metrics.model_dump_json(), device)


@lru_cache(maxsize=4)
def _scorer(data: str, metrics: str, device: torch.device) -> Scorer:
    config = TrialConfig(data=DataConfig.model_validate_json(data), metrics=MetricsConfig.model_validate_json(metrics))
    return Scorer(config, device, load_images(config.data, config.metrics.split))
