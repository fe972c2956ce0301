"""The moments of the real images' features, computed once and kept on disk."""

import hashlib
import json
from importlib.metadata import version
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch_fidelity.feature_extractor_base import FeatureExtractorBase

from gansearch.cache import atomic_write, cache_dir, say_once
from gansearch.data.base import Images
from gansearch.errors import one_line
from gansearch.metrics.extractors.base import Extractor
from gansearch.metrics.fid import Moments

BATCH = 256
_FORMAT = 1


def reference_moments(
    images: Images, extractor: Extractor, module: FeatureExtractorBase, folder: Path | None = None
) -> Moments:
    """The moments of `images` under `extractor`, whose loaded `module` is given; on the module's device.

    They are kept in `folder` (default: `reference` in the cache) under a key of everything that they depend on. A
    file that cannot be read is computed anew, a place that cannot be written is done without; either is said once.
    """
    key = reference_key(images, extractor)
    path = (folder or cache_dir() / "reference") / f"{key}.safetensors"
    device = next(module.parameters()).device
    kept = _read(path, key)
    if kept is not None:
        return kept.to(device)
    moments = Moments.of(extractor.features(module, batch) for batch in images.pixels.split(BATCH))
    try:
        atomic_write(path, lambda file: _write(file, moments, key))
    except OSError as error:
        say_once(f"{path.parent}: the reference statistics are not kept ({error.strerror or one_line(error)})")
    return moments


def reference_key(images: Images, extractor: Extractor) -> str:
    """A hash of the images' bytes, the extractor, its weights and its library's version."""
    parts = {
        "format": _FORMAT,
        "data": images.fingerprint,
        "extractor": extractor.name,
        "feature": extractor.feature_name,
        "weights_sha256": extractor.weights_hash(),
        "torch_fidelity": version("torch-fidelity"),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def _write(path: Path, moments: Moments, key: str) -> None:
    tensors = {"mean": moments.mean.cpu(), "cov": moments.cov.cpu(), "count": torch.tensor(moments.count)}
    save_file(tensors, path, metadata={"key": key})


def _read(path: Path, key: str) -> Moments | None:
    """What `path` keeps; None where there is no such file or it is broken."""
    try:
        with safe_open(path, framework="pt") as file:
            if file.metadata().get("key") != key:
                raise ValueError("it belongs to other images or another extractor")
            return Moments(file.get_tensor("mean"), file.get_tensor("cov"), int(file.get_tensor("count")))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, SafetensorError, ValueError, AttributeError) as error:
        say_once(f"{path}: unreadable reference statistics ({one_line(error)}) are computed anew")
        return None
