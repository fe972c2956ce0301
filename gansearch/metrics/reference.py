"""The moments of the real images' features, chunk by chunk, computed once and kept on disk."""

import hashlib
import json
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase

from gansearch.cache import atomic_write, cache_dir, say_once
from gansearch.data.base import Images
from gansearch.errors import one_line
from gansearch.metrics.extractors.base import Extractor
from gansearch.metrics.fid import Moments

BATCH = 256
_FORMAT = 2


def reference_moments(
    images: Images,
    chunks: Sequence[Tensor],
    extractor: Extractor,
    module: FeatureExtractorBase,
    folder: Path | None = None,
) -> list[Moments]:
    """The moments of each of `chunks`, indices of `images`, under `extractor`, whose loaded `module` is given.

    They lie on the module's device, and are kept in `folder` (default: `reference` in the cache) under a key of
    everything that they depend on. A file that cannot be read is computed anew, a place that cannot be written is done
    without; either is said once.
    """
    key = reference_key(images, chunks, extractor)
    path = (folder or reference_dir()) / f"{key}.safetensors"
    device = next(module.parameters()).device
    kept = _read(path, key)
    if kept is not None:
        return [moments.to(device) for moments in kept]
    computed = [chunk_moments(images, chunk, extractor, module) for chunk in chunks]
    keep(path, lambda file: _write(file, computed, key))
    return computed


def chunk_moments(images: Images, chunk: Tensor, extractor: Extractor, module: FeatureExtractorBase) -> Moments:
    """The moments of the images at the indices `chunk`, computed on the module's device."""
    return Moments.of(extractor.features(module, images.pixels[part]) for part in chunk.split(BATCH))


def reference_dir() -> Path:
    return cache_dir() / "reference"


def reference_key(images: Images, chunks: Sequence[Tensor], extractor: Extractor) -> str:
    """A hash of the images' bytes, how they are cut, the extractor, its weights and its library's version."""
    parts = {
        "format": _FORMAT,
        "data": images.fingerprint,
        "chunks": [hashlib.sha256(chunk.numpy().data).hexdigest() for chunk in chunks],
        "extractor": extractor.name,
        "feature": extractor.feature_name,
        "weights_sha256": extractor.weights_hash(),
        "torch_fidelity": version("torch-fidelity"),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def keep(path: Path, write: Callable[[Path], None]) -> None:
    """Writes a file of the cache; says once where its place cannot be written."""
    try:
        atomic_write(path, write)
    except OSError as error:
        say_once(f"{path.parent}: the reference statistics are not kept ({error.strerror or one_line(error)})")


def _write(path: Path, chunks: Sequence[Moments], key: str) -> None:
    tensors = {
        "mean": torch.stack([moments.mean for moments in chunks]).cpu(),
        "cov": torch.stack([moments.cov for moments in chunks]).cpu(),
        "count": torch.tensor([moments.count for moments in chunks]),
    }
    save_file(tensors, path, metadata={"key": key})


def _read(path: Path, key: str) -> list[Moments] | None:
    """What `path` keeps; None where there is no such file or it is broken."""
    try:
        with safe_open(path, framework="pt") as file:
            if file.metadata().get("key") != key:
                raise ValueError("it belongs to other images or another extractor")
            tensors = (file.get_tensor("mean"), file.get_tensor("cov"), file.get_tensor("count").tolist())
        return [Moments(mean, cov, count) for mean, cov, count in zip(*tensors, strict=True)]
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, SafetensorError, ValueError, TypeError, AttributeError) as error:
        say_once(f"{path}: unreadable reference statistics ({one_line(error)}) are computed anew")
        return None
