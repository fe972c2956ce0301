"""The relativistic pairing loss, RpGAN (Jolicoeur-Martineau 2018), as R3GAN uses it (Huang et al. 2024, equation 2)."""

from typing import ClassVar

from torch import Generator, Tensor
from torch.nn.functional import softplus

from gansearch.losses.base import Loss
from gansearch.registry import component


@component
class Relativistic(Loss):
    """D: softplus(D(G(z)) - D(x)); G: softplus(D(x) - D(G(z))), over pairs of a real and a generated image.

    R3GAN trains with gradient penalties on real and generated images (R1 and R2) beside it, which are not part of this
    loss.
    """

    pairs: ClassVar[bool] = True

    def discriminator(self, real: Tensor, fake: Tensor, rng: Generator) -> tuple[Tensor, Tensor]:
        half = softplus(fake - real).mean() / 2
        return half, half

    def generator(self, fake: Tensor, real: Tensor | None, rng: Generator) -> Tensor:
        assert real is not None
        return softplus(real - fake).mean()
