"""The images that a generator is scored by: always from the same z and labels."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from gansearch.data.base import to_uint8
from gansearch.data.loader import Batches
from gansearch.metrics.reference import BATCH


class NonFiniteImage(ValueError):  # noqa: N818 - what a diverged generator makes
    """A generator's image has a pixel that is no number."""


@torch.no_grad()
def scored_samples(
    G: nn.Module, z_dim: int, batches: Batches, seed: int, count: int, device: torch.device
) -> Iterator[Tensor]:
    """`count` images of G, which lies on `device`, uint8 and at most 256 at a time; NonFiniteImage.

    z and labels, these as frequent as in the data of `batches`, come in turns from one generator on the CPU, so that
    they are the same on every device.
    """
    rng = torch.Generator().manual_seed(seed)
    for start in range(0, count, BATCH):
        size = min(BATCH, count - start)
        z = torch.randn(size, z_dim, generator=rng).to(device)
        labels = batches.labels(rng, size)
        images = G(z, None if labels is None else labels.to(device))
        if not images.isfinite().all():
            raise NonFiniteImage("an image is not finite")
        yield to_uint8(images)
