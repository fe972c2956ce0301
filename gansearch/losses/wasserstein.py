"""The terms that all Wasserstein losses share (Arjovsky et al. 2017, algorithm 1)."""

from torch import Generator, Tensor


class Wasserstein:
    """D: -D(x) + D(G(z)); G: -D(G(z)). A loss derives from this class and from Loss, and keeps D Lipschitz."""

    def discriminator(self, real: Tensor, fake: Tensor, rng: Generator) -> tuple[Tensor, Tensor]:
        return -real.mean(), fake.mean()

    def generator(self, fake: Tensor, real: Tensor | None, rng: Generator) -> Tensor:
        return -fake.mean()
