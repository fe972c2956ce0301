"""The terms that the Wasserstein losses share (Arjovsky et al. 2017, algorithm 1), whatever keeps D Lipschitz."""

from torch import Generator, Tensor


class Wasserstein:
    """D: -D(x) + D(G(z)); G: -D(G(z)). Not a loss by itself: D has to be held within bounds."""

    def real(self, logits: Tensor, rng: Generator) -> Tensor:
        return -logits.mean()

    def fake(self, logits: Tensor, rng: Generator) -> Tensor:
        return logits.mean()

    def generator(self, logits: Tensor) -> Tensor:
        return -logits.mean()
