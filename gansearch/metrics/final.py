"""The quality of a finished generator under the protocol of its search: FID of many images, FID at infinity, KID."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gansearch import registry
from gansearch.config import TrialConfig
from gansearch.data.loader import load_images
from gansearch.device import Halving
from gansearch.errors import UserError
from gansearch.logs import log_duration
from gansearch.metrics import infinity
from gansearch.metrics import kid as kernel
from gansearch.metrics.extractors.base import Extractor, loaded
from gansearch.metrics.fid import fid_over_chunks
from gansearch.metrics.infinity import FIDInfinity, fid_infinity
from gansearch.metrics.kid import KID, kid
from gansearch.metrics.reference import BATCH, protocol_of, real_features, real_indices, reference_of
from gansearch.metrics.scorer import BatchReader
from gansearch.run.protocol import Protocol


@dataclass(frozen=True, kw_only=True)
class FinalScores:
    """The scores of `images` generated images.

    `fid` is measured under `protocol`, which differs from the search's only in the number of images. `fid_infinity` and
    `kid` are measured against all real images of the split, also where `fid` is a mean over chunks. A score that needs
    more images is None, and `missing` gives the reason.
    """

    images: int
    fid: float
    fid_infinity: FIDInfinity | None
    kid: KID | None
    protocol: Protocol
    missing: tuple[str, ...]


def final_scores(
    config: TrialConfig, batches: Iterable[Tensor], count: int, device: torch.device, search: Protocol | None = None
) -> FinalScores:
    """Measures the first `count` images of `batches` with the data and metrics sections of `config`.

    The features of all images are held on `device`, (count, D) float32; the images are not.

    Args:
        config: The configuration of the generator's trial.
        batches: Batches of images, uint8 (N, 1 or 3, H, W), on any device.
        count: The number of images to measure.
        device: Where the features are computed.
        search: The protocol of the search; None skips the check that data and weights are still the same.

    Raises:
        UserError: Before the first batch is read, if data or weights are missing or differ from those of `search`, or
            `count` is too small for an FID.
        ValueError: If there are fewer images, or images of another type or resolution.
    """
    metrics = config.override({"metrics.num_fake": count}).metrics
    if metrics.chunk is not None and count < metrics.chunk:
        raise UserError(f"the search's FIDs are over chunks of {metrics.chunk:,} images: measure at least as many")
    images = load_images(config.data, metrics.split)
    if search is not None:
        now = protocol_of(metrics, images)
        before = replace(search, num_real=now.num_real, num_fake=now.num_fake)
        before.require(now, "the search measured FID differently", "restore the data and weights of the search")
    reference = reference_of(metrics, images, device).to(device)

    extractor: Extractor = registry.build("metrics", metrics)
    module, halving = loaded(extractor, device), Halving()
    generated = BatchReader(batches, images.shape[1], count).read(count)
    what, total = f"measuring {count:,} generated images by {extractor.name}", -(-count // BATCH)
    features = torch.cat(
        [
            halving(lambda part: extractor.features(module, part), batch)
            for batch in log_duration(generated, what, total)
        ]
    )

    chunks = (chunk.split(BATCH) for chunk in features.split(reference.chunking.fake_size))
    fid = fid_over_chunks(reference.moments, chunks)

    extrapolated, no_infinity = None, infinity.too_few_images(*features.shape)
    if no_infinity is None:
        unchunked = reference
        if metrics.chunk is not None:
            unchunked = reference_of(metrics.model_copy(update={"chunk": None}), images, device).to(device)
        extrapolated = fid_infinity(unchunked.moments[0], features, metrics.seed)

    distance, no_kid = None, kernel.too_few_images(metrics.num_real or len(images), count)
    if no_kid is None:
        # The cache has only the moments of the real features, so that the features are computed again.
        real = torch.cat(list(real_features(images, real_indices(metrics, len(images)), extractor, device)))
        try:
            distance = kid(real, features)
        except ValueError as error:  # the other scores are valid all the same
            no_kid = f"KID: {error}"
    return FinalScores(
        images=count,
        fid=fid,
        fid_infinity=extrapolated,
        kid=distance,
        protocol=reference.protocol,
        missing=tuple(reason for reason in (no_infinity, no_kid) if reason),
    )
