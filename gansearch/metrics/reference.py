"""The reference side of an FID: which real images it is taken over, the moments of their features, and the protocol."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Self

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from gansearch import registry
from gansearch.cache import cache_dir, compute_once
from gansearch.config import MetricsConfig
from gansearch.data.base import RESIZE_FILTER, Images
from gansearch.device import Halving
from gansearch.errors import UserError
from gansearch.logs import log_duration
from gansearch.metrics.extractors.base import Extractor, loaded
from gansearch.metrics.fid import Moments
from gansearch.metrics.statistics import file_hash, read_statistics
from gansearch.run.protocol import OF_A_FILE, Protocol

BATCH = 256
_FORMAT = 4


@dataclass(frozen=True)
class Chunking:
    """How images are divided for an FID: `count` chunks of `real_size` real and of `fake_size` generated images."""

    count: int
    real_size: int
    fake_size: int

    @classmethod
    def of(cls, num_real: int, num_fake: int, chunk: int | None) -> Self:
        """Returns one chunk of all images if `chunk` is None, else all full chunks of that size, which may be none."""
        if chunk is None:
            return cls(1, num_real, num_fake)
        return cls(min(num_real, num_fake) // chunk, chunk, chunk)


def draw_chunks(images: int, seed: int, count: int, size: int) -> list[Tensor]:
    """Draws `count` disjoint chunks of `size` indices below `images`; the indices of a chunk are in ascending order.

    The random order comes from hashes: the random numbers of a library may change with its version, and FIDs of one
    protocol must stay comparable.
    """
    if size == images:
        return [torch.arange(images)]
    order = sorted(range(images), key=lambda index: hashlib.sha256(f"{seed} {index}".encode()).digest())
    return [torch.tensor(order[start : start + size]).sort().values for start in range(0, count * size, size)]


@dataclass(frozen=True, eq=False)
class Reference:
    """What a search measures once and passes to all trials.

    `moments` has one entry for each chunk of real images. `key` is a hash of all that the moments depend on.
    """

    protocol: Protocol
    chunking: Chunking
    moments: tuple[Moments, ...]
    key: str

    def to(self, device: torch.device) -> "Reference":
        """Returns this reference with the moments on `device`."""
        return replace(self, moments=tuple(moments.to(device) for moments in self.moments))


def reference_of(
    metrics: MetricsConfig, images: Images, device: torch.device, measure: Callable[[], list[Moments]] | None = None
) -> Reference:
    """Returns the reference for `images`, the real images of `metrics.split`, with moments on the CPU.

    Moments that are not in the cache are computed on `device`, or by `measure` where that is given.

    Raises:
        UserError: If weights are missing or wrong, a chunk cannot be filled, features are not finite, or a file of
            statistics is none, or has another number of features than the extractor.
    """
    protocol = protocol_of(metrics, images)
    if metrics.statistics is not None:
        moments, count = read_statistics(metrics.statistics)
        _require_size(metrics, moments.mean.numel(), images)
        return Reference(protocol, Chunking(1, count, metrics.num_fake), (moments,), protocol.data[:32])
    chunking, chunks = _chosen(metrics, len(images))
    key = reference_key(images, chunks, registry.build("metrics", metrics))
    path = _path(key)
    measured = compute_once(
        path,
        what="the measurement of the reference statistics",
        read=lambda: _read(path, key),
        compute=measure or (lambda: _measured(metrics, images, chunks, device)),
        write=lambda computed, file: _write(file, computed, key),
    )
    return Reference(protocol, chunking, tuple(measured), key)


def moments_of(metrics: MetricsConfig, images: Images, device: torch.device) -> list[Moments]:
    """Measures the moments of each chunk of `images` on `device`; returns them on the CPU.

    Raises:
        UserError: If features are not finite.
    """
    return _measured(metrics, images, _chosen(metrics, len(images))[1], device)


def _measured(metrics: MetricsConfig, images: Images, chunks: Sequence[Tensor], device: torch.device) -> list[Moments]:
    extractor: Extractor = registry.build("metrics", metrics)
    features = (real_features(images, indices, extractor, device) for indices in chunks)
    return [Moments.of(batches).to(torch.device("cpu")) for batches in features]


def is_measured(metrics: MetricsConfig, images: Images) -> bool:
    """Returns whether the reference needs no measurement: it is in the cache, or in a file of its own."""
    if metrics.statistics is not None:
        return True
    key = reference_key(images, _chosen(metrics, len(images))[1], registry.build("metrics", metrics))
    return _path(key).exists()


def real_indices(metrics: MetricsConfig, count: int) -> Tensor:
    """Returns which of `count` real images are compared with, where they are not divided into chunks."""
    return draw_chunks(count, metrics.seed, 1, metrics.num_real or count)[0]


def _chosen(metrics: MetricsConfig, count: int) -> tuple[Chunking, list[Tensor]]:
    """Returns how `count` images are divided, and the indices of each chunk."""
    chunking = _chunking(metrics, count)
    return chunking, draw_chunks(count, metrics.seed, chunking.count, chunking.real_size)


def _path(key: str) -> Path:
    return cache_dir() / "reference" / f"{key}.safetensors"


def _require_size(metrics: MetricsConfig, size: int, images: Images) -> None:
    """Raises UserError where the extractor has not `size` features."""
    extractor: Extractor = registry.build("metrics", metrics)
    cpu = torch.device("cpu")
    found = extractor.features(loaded(extractor, cpu), images.pixels[:1]).shape[1]
    if found != size:
        raise UserError(
            f"metrics.statistics={metrics.statistics} has {size} features, and {extractor.name} has {found}: take "
            "statistics of that extractor"
        )


def protocol_of(metrics: MetricsConfig, images: Images) -> Protocol:
    """Returns the protocol of FIDs to `images`, the real images of `metrics.split`, without measuring anything.

    Raises:
        UserError: If weights are missing or wrong, a chunk cannot be filled, or a file of statistics can't be read.
    """
    extractor: Extractor = registry.build("metrics", metrics)
    if metrics.statistics is not None:
        chunking = Chunking(1, read_statistics(metrics.statistics)[1], metrics.num_fake)
        data, split = file_hash(metrics.statistics), OF_A_FILE
    else:
        chunking, data, split = _chunking(metrics, len(images)), images.fingerprint, metrics.split
    return Protocol(
        extractor=extractor.name,
        weights_sha256=extractor.weights_hash(),
        data=data,
        split=split,
        num_real=chunking.count * chunking.real_size,
        num_fake=chunking.count * chunking.fake_size,
        resolution=images.shape[1],
        resize=RESIZE_FILTER,
        dtype=extractor.precision,
        seed=metrics.seed,
        estimator="standard" if metrics.chunk is None else f"chunked-{metrics.chunk}",
    )


def real_features(images: Images, indices: Tensor, extractor: Extractor, device: torch.device) -> Iterator[Tensor]:
    """Yields the features (N, D) of the images at `indices`, batch by batch, on `device`.

    Raises:
        UserError: If features are not finite.
    """
    module, halving = loaded(extractor, device), Halving()
    parts = indices.split(BATCH)
    for part in log_duration(parts, f"measuring {len(indices):,} real images by {extractor.name}", total=len(parts)):
        features = halving(lambda pixels: extractor.features(module, pixels), images.pixels[part])
        if not features.isfinite().all():
            raise UserError(
                f"{extractor.name} on real images: the features are not finite; choose another metrics.name, or fix it"
            )
        yield features


def reference_key(images: Images, chunks: Sequence[Tensor], extractor: Extractor) -> str:
    """Returns a hash of the images, the chunks, and the extractor with its precision, weights and library version."""
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


def _chunking(metrics: MetricsConfig, count: int) -> Chunking:
    num_real = metrics.num_real or count
    if num_real > count:
        raise UserError(f"metrics.num_real={num_real}: there are only {count} {metrics.split} images; set it lower")
    chunking, chunk = Chunking.of(num_real, metrics.num_fake, metrics.chunk), metrics.chunk
    if chunking.real_size < 2:
        raise UserError(f"metrics.split={metrics.split}: {num_real} real image is too few for an FID; use more")
    if chunking.count == 0 and metrics.num_fake < chunking.fake_size:
        raise UserError(f"metrics.chunk={chunk}: only {metrics.num_fake} images are generated; set metrics.num_fake")
    if chunking.count == 0:
        raise UserError(f"metrics.chunk={chunk}: there are only {num_real} {metrics.split} images; set it lower")
    return chunking


def _write(path: Path, chunks: Sequence[Moments], key: str) -> None:
    # The chunks are of one size: all have a factor, or none has.
    name = "covariance" if chunks[0].factor is None else "factor"
    tensors = {
        "mean": torch.stack([moments.mean for moments in chunks]),
        "count": torch.tensor([moments.count for moments in chunks]),
        name: torch.stack([getattr(moments, name) for moments in chunks]),
    }
    # Not save_file: its files are readable by their owner alone, and a cache may be shared.
    path.write_bytes(save(tensors, metadata={"key": key}))


def _read(path: Path, key: str) -> list[Moments]:
    with safe_open(path, framework="pt") as file:
        if file.metadata().get("key") != key:
            raise ValueError("it belongs to other images or another extractor")
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    means, counts = tensors.pop("mean"), tensors.pop("count").tolist()
    ((name, matrices),) = tensors.items()  # "covariance" or "factor"
    return [Moments(mean, count, **{name: matrix}) for mean, count, matrix in zip(means, counts, matrices, strict=True)]
