"""The least squares loss (Mao et al. 2017)."""

from typing import Self

from pydantic import model_validator
from torch import Generator, Tensor

from gansearch.losses.base import Loss
from gansearch.registry import component


@component
class LSGAN(Loss):
    """D: (D(x) - b)^2 / 2 + (D(G(z)) - a)^2 / 2; G: (D(G(z)) - c)^2 / 2 (equation 2).

    The defaults are the paper's equation 9. Its equation 8, which minimises the Pearson divergence, is a = -1, b = 1,
    c = 0.

    Args:
        fake_target: a, what D learns to give for generated images.
        real_target: b, what D learns to give for real images; above `fake_target`.
        g_target: c, what G wants D to give for generated images; above `fake_target`.
    """

    fake_target: float = 0.0
    real_target: float = 1.0
    g_target: float = 1.0

    @model_validator(mode="after")
    def _real_is_above_fake(self) -> Self:
        for name in ("real_target", "g_target"):
            if getattr(self, name) <= self.fake_target:
                raise ValueError(f"{name}={getattr(self, name):g}: set it above fake_target={self.fake_target:g}")
        return self

    def discriminator(self, real: Tensor, fake: Tensor, rng: Generator) -> tuple[Tensor, Tensor]:
        return (real - self.real_target).square().mean() / 2, (fake - self.fake_target).square().mean() / 2

    def generator(self, fake: Tensor, real: Tensor | None, rng: Generator) -> Tensor:
        return (fake - self.g_target).square().mean() / 2
