"""The generated images that an FID is measured on, always from the same z and labels."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from gansearch.data.base import to_uint8
from gansearch.data.loader import Batches
from gansearch.device import Halving, float32_arithmetic
from gansearch.metrics.reference import BATCH


class NonFiniteImage(ValueError):  # noqa: N818 - the output of a diverged generator
    """A generated image has a pixel that is not finite."""


@torch.no_grad()
def scored_samples(
    G: nn.Module, z_dim: int, batches: Batches, seed: int, count: int, device: torch.device, precision: str
) -> Iterator[Tensor]:
    """Yields `count` images of G, uint8 (at most 256, C, H, W), on `device`.

    They are computed in float32, with TF32 where that is the `precision` of the trial.

    z and labels come in turns from one random number generator on the CPU, so that they are the same on every device.
    Labels are as frequent as in the data of `batches`.

    Raises:
        NonFiniteImage: An image has a pixel that is not finite.
    """
    rng, halving = torch.Generator().manual_seed(seed), Halving()
    for start in range(0, count, BATCH):
        size = min(BATCH, count - start)
        z = torch.randn(size, z_dim, generator=rng).to(device)
        labels = batches.labels(rng, size)
        with float32_arithmetic(tf32=precision == "tf32"):
            images = halving(G, z, None if labels is None else labels.to(device))
        if not images.isfinite().all():
            raise NonFiniteImage("an image is not finite")
        yield to_uint8(images)
