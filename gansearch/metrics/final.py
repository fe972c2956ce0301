"""How good a finished generator is: FID of many images, FID at infinity and KID, under the protocol of its search."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gansearch import registry
from gansearch.config import TrialConfig
from gansearch.data.base import Images
from gansearch.data.loader import load_images
from gansearch.errors import UserError
from gansearch.logs import log_duration
from gansearch.metrics import infinity
from gansearch.metrics import kid as kernel
from gansearch.metrics.extractors.base import Extractor, loaded
from gansearch.metrics.fid import Moments
from gansearch.metrics.infinity import Infinity, fid_infinity
from gansearch.metrics.kid import KID, kid
from gansearch.metrics.reference import BATCH, Reference, protocol_of, reference_of
from gansearch.metrics.scorer import Stream
from gansearch.run.protocol import Protocol


@dataclass(frozen=True, kw_only=True)
class FinalScores:
    """What was measured of `images` generated ones; None is what so few do not give, and `missing` says why.

    `fid` is that of `protocol`: the search's, but for the number of images. The others are to all real images of its
    split, also where it averages over chunks.
    """

    images: int
    fid: float
    fid_infinity: Infinity | None
    kid: KID | None
    protocol: Protocol
    missing: tuple[str, ...]


def final_scores(
    config: TrialConfig, batches: Iterable[Tensor], count: int, device: torch.device, search: Protocol | None = None
) -> FinalScores:
    """Measures the first `count` images of `batches`, uint8 (N, 1 or 3, H, W), as `config` measures its trial's.

    Their features are kept, (count, D) float32 on `device`; they themselves are not. UserError, before a batch is
    taken, where data or weights are missing, where they are not those of `search`, the protocol of earlier FIDs, and
    where `count` is too small for an FID; ValueError on fewer images, another type or resolution.
    """
    metrics = config.override({"metrics.num_fake": count}).metrics
    if metrics.chunk is not None and count < metrics.chunk:
        raise UserError(f"the search's FIDs are over chunks of {metrics.chunk:,} images: measure at least as many")
    images = load_images(config.data, metrics.split)
    if search is not None:
        now = protocol_of(metrics, images)
        before = replace(search, num_real=now.num_real, num_fake=now.num_fake)
        before.require(now, "the search measured FID otherwise", "bring back the data and weights that it had")
    reference = reference_of(metrics, images, device).to(device)
    extractor: Extractor = registry.build("metrics", metrics)
    features = _generated(extractor, Stream(batches, images.shape[1], count), count, device)
    whole = reference
    no_line = infinity.too_few(*features.shape)
    if metrics.chunk is not None and no_line is None:
        whole = reference_of(metrics.model_copy(update={"chunk": None}), images, device).to(device)
    no_kid, distance = kernel.too_few(len(images), count), None
    if no_kid is None:
        try:
            distance = kid(_real(extractor, images, device), features)
        except ValueError as error:  # what else was measured stands
            no_kid = f"KID: {error}"
    return FinalScores(
        images=count,
        fid=_fid(reference, features),
        fid_infinity=None if no_line else fid_infinity(whole.moments[0], features, metrics.seed),
        kid=distance,
        protocol=reference.protocol,
        missing=tuple(reason for reason in (no_line, no_kid) if reason),
    )


def _fid(reference: Reference, features: Tensor) -> float:
    """The mean over the reference's chunks, each against the features that come next: as a trial's FID."""
    parts = features.split(reference.cut.fake)[: reference.cut.count]
    return reference.distance(Moments.of(part.split(BATCH)) for part in parts)


def _generated(extractor: Extractor, stream: Stream, count: int, device: torch.device) -> Tensor:
    """The features (count, D) of the first `count` images."""
    what, total = f"measuring {count:,} generated images by {extractor.name}", -(-count // BATCH)
    return _features(extractor, log_duration(stream.take(count), what, total), device)


def _real(extractor: Extractor, images: Images, device: torch.device) -> Tensor:
    """The features (M, D) of all real images; of these the cache keeps but the moments."""
    parts, what = images.pixels.split(BATCH), f"measuring {len(images):,} real images for KID by {extractor.name}"
    return _features(extractor, log_duration(parts, what, len(parts)), device)


def _features(extractor: Extractor, batches: Iterable[Tensor], device: torch.device) -> Tensor:
    module = loaded(extractor, device)
    return torch.cat([extractor.features(module, batch) for batch in batches])
