"""The FID that a perfect generator would score, computed once and cached beside the reference statistics."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from gansearch import registry
from gansearch.cache import cache_dir, compute_once
from gansearch.config import TrialConfig
from gansearch.data.base import Images, NoSplit, Split
from gansearch.data.loader import load_images
from gansearch.logs import warn_once
from gansearch.metrics.extractors.base import Extractor
from gansearch.metrics.fid import fid_over_chunks
from gansearch.metrics.reference import Chunking, Reference, draw_chunks, real_features, reference_key
from gansearch.run.protocol import Floor


def floor_of(
    config: TrialConfig, reference: Reference, device: torch.device, measure: Callable[[], Floor] | None = None
) -> Floor | None:
    """Returns the floor of FIDs to `reference`: the FID of real images from the other split of the data set.

    The FID is taken over `protocol.num_fake` real images, chosen with the seed of the protocol, so that the floor has
    the same bias as the FIDs of generators. If the other split is smaller, all images of that split are used.

    Args:
        config: The configuration that `reference` was measured for.
        reference: The reference of the search.
        device: Where the features are computed.
        measure: Returns `measured_floor` of another process, which computes it in place of this one.

    Returns:
        The floor, or None if the data set has no other split or that split has too few images for an FID. The second
        case is reported once.
    """
    found = _chunks(config, reference)
    if found is None:
        return None
    images, _, chunks = found
    other_key = reference_key(images, chunks, registry.build("metrics", config.metrics))
    key = hashlib.sha256(f"floor {reference.key} {other_key}".encode()).hexdigest()[:32]
    path = cache_dir() / "reference" / f"{key}.json"
    return compute_once(
        path,
        what="the measurement of the floor",
        read=lambda: _read(path, key),
        compute=measure or (lambda: measured_floor(config, reference, device)),
        write=lambda floor, file: _write(file, floor, key),
    )


def measured_floor(config: TrialConfig, reference: Reference, device: torch.device) -> Floor:
    """Measures the floor, where there is one."""
    found = _chunks(config, reference)
    assert found is not None, "`floor_of` has seen to that"
    images, split, chunks = found
    extractor: Extractor = registry.build("metrics", config.metrics)
    features = (real_features(images, indices, extractor, device) for indices in chunks)
    fid = fid_over_chunks(reference.to(device).moments, features)
    return Floor(split=split, images=sum(map(len, chunks)), fid=fid)


def _chunks(config: TrialConfig, reference: Reference) -> tuple[Images, Split, list[Tensor]] | None:
    """Returns the images of the other split, its name, and the indices of those that each chunk takes."""
    protocol, chunk = reference.protocol, config.metrics.chunk
    split: Split = "test" if config.metrics.split == "train" else "train"
    try:
        images = load_images(config.data, split)
    except NoSplit:
        return None
    chunking = Chunking.of(protocol.num_real, min(protocol.num_fake, len(images)), chunk)
    if chunking.count == 0 or chunking.fake_size < 2:
        warn_once(f"no FID floor: there are {len(images)} {split} images, the FID needs at least {chunk or 2}")
        return None
    return images, split, draw_chunks(len(images), protocol.seed, chunking.count, chunking.fake_size)


def _write(path: Path, floor: Floor, key: str) -> None:
    path.write_text(json.dumps({"key": key, **asdict(floor)}, allow_nan=False))


def _read(path: Path, key: str) -> Floor:
    content = json.loads(path.read_bytes())
    if content.pop("key") != key:
        raise ValueError("it belongs to other images or another extractor")
    return Floor(**content)
