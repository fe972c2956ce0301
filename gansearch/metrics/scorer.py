"""Scores generated images against a trial's real ones; built once per process and kept from trial to trial."""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from statistics import fmean

import torch
from torch import Tensor

from gansearch import registry
from gansearch.cache import say_once
from gansearch.config import DataConfig, MetricsConfig, TrialConfig
from gansearch.data.base import RESIZE_FILTER, Images, NoSplit, Split
from gansearch.data.loading import load_images
from gansearch.errors import UserError
from gansearch.metrics.chunks import Cut, draw, estimator
from gansearch.metrics.extractors.base import Extractor
from gansearch.metrics.fid import Moments, frechet_distance
from gansearch.metrics.floor import floor_key, kept_floor
from gansearch.metrics.protocol import Protocol
from gansearch.metrics.reference import BATCH, chunk_moments, reference_key, reference_moments
from gansearch.results import Floor


class Scorer:
    """FID under one protocol: the extractor on `device` and the moments of the `reference` images.

    The FID is the mean over pairs of chunks, of which there is but one where `metrics.chunk` is None. Raises UserError
    where the extractor's weights are missing or are not the expected ones, and where a chunk cannot be filled.
    """

    protocol: Protocol

    def __init__(self, config: TrialConfig, device: torch.device, reference: Images) -> None:
        metrics = config.metrics
        self._data, self._chunk = config.data, metrics.chunk
        self._extractor: Extractor = registry.build("metrics", metrics)
        self._module = self._extractor.load(device)
        self._cut = _cut(metrics, len(reference))
        chunks = draw(len(reference), metrics.seed, self._cut.count, self._cut.real)
        self._reference = reference_moments(reference, chunks, self._extractor, self._module)
        self._reference_key = reference_key(reference, chunks, self._extractor)
        self.protocol = Protocol(
            extractor=self._extractor.name,
            weights_sha256=self._extractor.weights_hash(),
            data=reference.fingerprint,
            split=metrics.split,
            num_real=self._cut.count * self._cut.real,
            num_fake=self._cut.count * self._cut.fake,
            resolution=reference.shape[1],
            resize=RESIZE_FILTER,
            dtype="float32",
            seed=metrics.seed,
            estimator=estimator(metrics.chunk),
        )

    def fid(self, batches: Iterable[Tensor]) -> float:
        """The FID of the first `num_fake` images of `batches`: uint8 (N, 1 or 3, H, W), on any device.

        Takes no batch more than it needs. ValueError on fewer images, another type or resolution.
        """
        stream = _Stream(batches, self.protocol)
        return _mean_distance(
            self._reference,
            (
                Moments.of(self._extractor.features(self._module, batch) for batch in stream.take(self._cut.fake))
                for _ in range(self._cut.count)
            ),
        )

    def floor(self) -> Floor | None:
        """What a perfect generator would score: the FID, under this protocol, of real images of the other split.

        Of as many as the protocol has generated ones, or of all where there are fewer, in an order drawn by its seed.
        None where the data set has no other split, and, which is said once, where that is too small.
        """
        split: Split = "test" if self.protocol.split == "train" else "train"
        try:
            images = load_images(self._data, split)
        except NoSplit:
            return None
        cut = Cut.of(self.protocol.num_real, min(self.protocol.num_fake, len(images)), self._chunk)
        if cut.count == 0 or cut.fake < 2:
            say_once(f"FID has no floor here: there are {len(images)} {split} images, it takes {self._chunk or 2}")
            return None
        chunks = draw(len(images), self.protocol.seed, cut.count, cut.fake)
        key = floor_key(self._reference_key, reference_key(images, chunks, self._extractor))

        def compute() -> Floor:
            moments = (chunk_moments(images, chunk, self._extractor, self._module) for chunk in chunks)
            fid = _mean_distance(self._reference[: cut.count], moments)
            return Floor(split=split, images=cut.count * cut.fake, fid=fid)

        return kept_floor(key, compute)


class _Stream:
    """Batches of images, checked against a protocol, from which exact numbers of images are taken."""

    def __init__(self, batches: Iterable[Tensor], protocol: Protocol) -> None:
        self._batches = iter(batches)
        self._protocol = protocol
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
            raise ValueError(f"{self._taken} generated images, but the protocol wants {self._protocol.num_fake}")
        size = self._protocol.resolution
        if batch.dtype != torch.uint8 or batch.shape[2:] != (size, size):
            raise ValueError(f"{batch.dtype} images of {tuple(batch.shape)}, not uint8 of {size} x {size}")
        return batch


def _cut(metrics: MetricsConfig, num_real: int) -> Cut:
    cut = Cut.of(num_real, metrics.num_fake, metrics.chunk)
    if cut.real < 2:
        raise UserError(f"metrics.split={metrics.split}: {num_real} real image is too few for an FID; use more")
    if cut.count == 0 and metrics.num_fake < cut.fake:
        raise UserError(f"metrics.chunk={cut.fake}: only {metrics.num_fake} images are generated; set metrics.num_fake")
    if cut.count == 0:
        raise UserError(f"metrics.chunk={cut.real}: only {num_real} {metrics.split} images are there; set it lower")
    return cut


def _mean_distance(reference: Sequence[Moments], others: Iterable[Moments]) -> float:
    return fmean(frechet_distance(mine, other) for mine, other in zip(reference, others, strict=True))


def scorer_for(config: TrialConfig, device: torch.device) -> Scorer:
    """The scorer of a trial; trials of this process with equal data and metrics sections share one.

    Raises UserError where the data or the extractor's weights are missing or broken.
    """
    return _scorer(config.data.model_dump_json(), config.metrics.model_dump_json(), device)


@lru_cache(maxsize=4)
def _scorer(data: str, metrics: str, device: torch.device) -> Scorer:
    config = TrialConfig(data=DataConfig.model_validate_json(data), metrics=MetricsConfig.model_validate_json(metrics))
    return Scorer(config, device, load_images(config.data, config.metrics.split))
