"""The terms that all Wasserstein losses share (Arjovsky et al. 2017, algorithm 1)."""

from torch import Generator, Tensor


class Wasserstein:
    """D: -D(x) + D(G(z)); G: -D(G(z)). A loss derives from this class and from Loss, and keeps D Lipschitz."""

    def real(self, logits: Tensor, rng: Generator) -> Tensor:
        return -logits.mean()

    def fake(self, logits: Tensor, rng: Generator) -> Tensor:
        return logits.mean()

    def generator(self, logits: Tensor) -> Tensor:
        return -logits.mean()
