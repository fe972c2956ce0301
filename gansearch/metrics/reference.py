"""The real side of an FID: the moments of the reference images' features and the protocol that they are of."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import fmean

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from gansearch import registry
from gansearch.cache import cache_dir, compute_once
from gansearch.config import MetricsConfig
from gansearch.data.base import RESIZE_FILTER, Images
from gansearch.errors import UserError
from gansearch.logs import log_duration
from gansearch.metrics.chunks import Cut, draw, estimator
from gansearch.metrics.extractors.base import Extractor, loaded
from gansearch.metrics.fid import Moments, frechet_distance
from gansearch.run.protocol import Protocol

BATCH = 256
_FORMAT = 3


@dataclass(frozen=True, eq=False)
class Reference:
    """What a search measures once and hands to its trials: the moments of each chunk, on the CPU, and the protocol.

    `key` is a hash of all that the moments depend on.
    """

    protocol: Protocol
    cut: Cut
    moments: tuple[Moments, ...]
    key: str

    def distance(self, others: Iterable[Moments]) -> float:
        """The mean over the Frechet distances of the first chunks to `others`, of which there are no more."""
        return fmean(frechet_distance(mine, other) for mine, other in zip(self.moments, others, strict=False))

    def to(self, device: torch.device) -> "Reference":
        """This reference with its moments on `device`."""
        return Reference(self.protocol, self.cut, tuple(moments.to(device) for moments in self.moments), self.key)


def reference_of(metrics: MetricsConfig, images: Images, device: torch.device) -> Reference:
    """The reference that `metrics` makes of `images`, those of its split; moments not kept are computed on `device`.

    Raises UserError as `protocol_of` does.
    """
    protocol = protocol_of(metrics, images)
    extractor: Extractor = registry.build("metrics", metrics)
    cut = _cut(metrics, len(images))
    chunks = draw(len(images), metrics.seed, cut.count, cut.real)
    key = reference_key(images, chunks, extractor)
    path = cache_dir() / "reference" / f"{key}.safetensors"
    moments = compute_once(
        path,
        what="the measurement of the reference statistics",
        read=lambda: _read(path, key),
        compute=lambda: [chunk_moments(images, chunk, extractor, device) for chunk in chunks],
        write=lambda computed, file: _write(file, computed, key),
    )
    return Reference(protocol, cut, tuple(moments), key)


def protocol_of(metrics: MetricsConfig, images: Images) -> Protocol:
    """How `metrics` measures FIDs to `images`, those of its split; nothing is measured for it.

    UserError where the extractor's weights are missing or not the expected ones, and where a chunk can't be filled.
    """
    extractor: Extractor = registry.build("metrics", metrics)
    cut = _cut(metrics, len(images))
    return Protocol(
        extractor=extractor.name,
        weights_sha256=extractor.weights_hash(),
        data=images.fingerprint,
        split=metrics.split,
        num_real=cut.count * cut.real,
        num_fake=cut.count * cut.fake,
        resolution=images.shape[1],
        resize=RESIZE_FILTER,
        dtype=extractor.precision,
        seed=metrics.seed,
        estimator=estimator(metrics.chunk),
    )


def chunk_moments(images: Images, chunk: Tensor, extractor: Extractor, device: torch.device) -> Moments:
    """The moments, on the CPU, of the images at the indices `chunk`, computed on `device`.

    UserError where the extractor makes features of them that are not finite.
    """
    module = loaded(extractor, device)
    parts = chunk.split(BATCH)
    slow = log_duration(parts, f"measuring {len(chunk):,} real images by {extractor.name}", total=len(parts))
    try:
        return Moments.of(extractor.features(module, images.pixels[part]) for part in slow).to(torch.device("cpu"))
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"{extractor.name} on real images: {error}; take another metrics.name, or mend it") from error


def reference_key(images: Images, chunks: Sequence[Tensor], extractor: Extractor) -> str:
    """A hash of the images' bytes, how they are cut, the extractor, its precision, weights and library's version."""
    parts = {
        "format": _FORMAT,
        "data": images.fingerprint,
        "chunks": [hashlib.sha256(chunk.numpy().data).hexdigest() for chunk in chunks],
        "extractor": extractor.name,
        "precision": extractor.precision,
        "weights_sha256": extractor.weights_hash(),
        "torch_fidelity": version("torch-fidelity"),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def _cut(metrics: MetricsConfig, num_real: int) -> Cut:
    cut = Cut.of(num_real, metrics.num_fake, metrics.chunk)
    if cut.real < 2:
        raise UserError(f"metrics.split={metrics.split}: {num_real} real image is too few for an FID; use more")
    if cut.count == 0 and metrics.num_fake < cut.fake:
        raise UserError(f"metrics.chunk={cut.fake}: only {metrics.num_fake} images are generated; set metrics.num_fake")
    if cut.count == 0:
        raise UserError(f"metrics.chunk={cut.real}: only {num_real} {metrics.split} images are there; set it lower")
    return cut


def _write(path: Path, chunks: Sequence[Moments], key: str) -> None:
    tensors = {
        "mean": torch.stack([moments.mean for moments in chunks]),
        "spread": torch.stack([moments.spread for moments in chunks]),
        "count": torch.tensor([moments.count for moments in chunks]),
    }
    # Not save_file: its files are for their owner alone, and a cache may be shared.
    path.write_bytes(save(tensors, metadata={"key": key}))


def _read(path: Path, key: str) -> list[Moments]:
    with safe_open(path, framework="pt") as file:
        if file.metadata().get("key") != key:
            raise ValueError("it belongs to other images or another extractor")
        tensors = (file.get_tensor("mean"), file.get_tensor("spread"), file.get_tensor("count").tolist())
    return [Moments(mean, spread, count) for mean, spread, count in zip(*tensors, strict=True)]
