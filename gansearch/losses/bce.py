"""The non-saturating loss of Goodfellow et al. 2014 (section 3), as cross entropy on logits."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Generator, Tensor
from torch.nn.functional import softplus

from gansearch.losses.base import Loss
from gansearch.registry import component


@component
class BCE(Loss):
    """D: -log s(D(x)) - log(1 - s(D(G(z)))); G: -log s(D(G(z))), with s the sigmoid.

    Args:
        smoothing: Draws the target of a real image from [1 - smoothing, 1] instead of 1 (one-sided label smoothing,
            Salimans et al. 2016, section 3.4).
        label_noise: The share of D's targets, real and fake, that is swapped.
    """

    smoothing: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    label_noise: Annotated[float, Field(ge=0, lt=0.5)] = 0.0

    def discriminator(self, real: Tensor, fake: Tensor, rng: Generator) -> tuple[Tensor, Tensor]:
        if self.smoothing or self.label_noise:
            of_real = _cross_entropy(real, self._noisy(1 - self.smoothing * _uniform(real, rng), rng))
        else:
            of_real = softplus(-real).mean()
        if self.label_noise:
            return of_real, _cross_entropy(fake, self._noisy(torch.zeros_like(fake), rng))
        return of_real, softplus(fake).mean()

    def generator(self, fake: Tensor, real: Tensor | None, rng: Generator) -> Tensor:
        return softplus(-fake).mean()

    def _noisy(self, targets: Tensor, rng: Generator) -> Tensor:
        return torch.where(_uniform(targets, rng) < self.label_noise, 1 - targets, targets)


def _uniform(like: Tensor, rng: Generator) -> Tensor:
    return torch.rand(like.shape, generator=rng, device=like.device)


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    return (softplus(logits) - targets * logits).mean()
