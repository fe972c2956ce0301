"""The hinge loss (Lim and Ye 2017; SAGAN, Zhang et al. 2019, equation 4)."""

from torch import Generator, Tensor
from torch.nn.functional import relu

from gansearch.losses.base import Loss
from gansearch.registry import component


@component
class Hinge(Loss):
    """D: max(0, 1 - D(x)) + max(0, 1 + D(G(z))); G: -D(G(z))."""

    def discriminator(self, real: Tensor, fake: Tensor, rng: Generator) -> tuple[Tensor, Tensor]:
        return relu(1 - real).mean(), relu(1 + fake).mean()

    def generator(self, fake: Tensor, real: Tensor | None, rng: Generator) -> Tensor:
        return -fake.mean()
