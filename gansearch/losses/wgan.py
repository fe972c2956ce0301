"""The Wasserstein loss with weight clipping (Arjovsky et al. 2017, algorithm 1)."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from gansearch.losses.base import Loss
from gansearch.losses.wasserstein import Wasserstein
from gansearch.registry import component


@component
class WGAN(Wasserstein, Loss):
    """D: -D(x) + D(G(z)), every parameter of D clipped to [-clip, clip]; G: -D(G(z)).

    Args:
        clip: The greatest size of a parameter of D.
    """

    clip: Annotated[float, Field(gt=0)] = 0.01

    @torch.no_grad()
    def constrain(self, D: nn.Module) -> None:
        parameters: list[Tensor] = list(D.parameters())
        torch._foreach_clamp_min_(parameters, -self.clip)
        torch._foreach_clamp_max_(parameters, self.clip)
