"""What a perfect generator would score, computed once and kept beside the reference statistics."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import torch

from gansearch import registry
from gansearch.cache import cache_dir, compute_once
from gansearch.config import TrialConfig
from gansearch.data.base import NoSplit, Split
from gansearch.data.loader import load_images
from gansearch.logs import warn_once
from gansearch.metrics.chunks import Cut, draw
from gansearch.metrics.extractors.base import Extractor
from gansearch.metrics.reference import Reference, chunk_moments, reference_key
from gansearch.run.protocol import Floor


def floor_of(config: TrialConfig, reference: Reference, device: torch.device) -> Floor | None:
    """The FID to `reference`, which is that of `config`, of real images of the other split.

    Of as many as the protocol has generated ones, or of all where there are fewer, in an order drawn by its seed. None
    where the data set has no other split, and, which is said once, where that is too small.
    """
    protocol, chunk = reference.protocol, config.metrics.chunk
    split: Split = "test" if protocol.split == "train" else "train"
    try:
        images = load_images(config.data, split)
    except NoSplit:
        return None
    cut = Cut.of(protocol.num_real, min(protocol.num_fake, len(images)), chunk)
    if cut.count == 0 or cut.fake < 2:
        warn_once(f"FID has no floor here: there are {len(images)} {split} images, it takes {chunk or 2}")
        return None
    extractor: Extractor = registry.build("metrics", config.metrics)
    chunks = draw(len(images), protocol.seed, cut.count, cut.fake)
    other = reference_key(images, chunks, extractor)
    key = hashlib.sha256(f"floor {reference.key} {other}".encode()).hexdigest()[:32]

    def compute() -> Floor:
        fid = reference.distance(chunk_moments(images, chunk, extractor, device) for chunk in chunks)
        return Floor(split=split, images=cut.count * cut.fake, fid=fid)

    path = cache_dir() / "reference" / f"{key}.json"
    return compute_once(
        path,
        what="the measurement of the floor",
        read=lambda: _read(path, key),
        compute=compute,
        write=lambda floor, file: _write(file, floor, key),
    )


def _write(path: Path, floor: Floor, key: str) -> None:
    path.write_text(json.dumps({"key": key, **asdict(floor)}, allow_nan=False))


def _read(path: Path, key: str) -> Floor:
    content = json.loads(path.read_bytes())
    if content.pop("key") != key:
        raise ValueError("it belongs to other images or another extractor")
    return Floor(**content)
