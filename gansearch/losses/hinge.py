"""The hinge loss (Lim and Ye 2017; SAGAN, Zhang et al. 2019, equation 4)."""

from torch import Generator, Tensor
from torch.nn.functional import relu

from gansearch.losses.base import Loss
from gansearch.registry import component


@component
class Hinge(Loss):
    """D: max(0, 1 - D(x)) + max(0, 1 + D(G(z))); G: -D(G(z))."""

    def real(self, logits: Tensor, rng: Generator) -> Tensor:
        return relu(1 - logits).mean()

    def fake(self, logits: Tensor, rng: Generator) -> Tensor:
        return relu(1 + logits).mean()

    def generator(self, logits: Tensor) -> Tensor:
        return -logits.mean()
