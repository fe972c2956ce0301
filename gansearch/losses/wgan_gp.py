"""The Wasserstein loss with gradient penalty (Gulrajani et al. 2017, equation 3)."""

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Generator, Tensor

from gansearch.losses.base import Critic, Loss
from gansearch.losses.wasserstein import Wasserstein
from gansearch.registry import component


@component
class WGANGP(Wasserstein, Loss):
    """D: -D(x) + D(G(z)) + penalty_weight * (|grad D(x')| - 1)^2 at random points x' between pairs; G: -D(G(z)).

    Args:
        penalty_weight: The weight of the gradient penalty.
    """

    per_image: ClassVar[bool] = True

    penalty_weight: Annotated[float, Field(gt=0)] = 10.0

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, rng: Generator) -> Tensor:
        """Returns the penalty over pairs (N, C, H, W), in float32 except for the layers of D under autocast.

        A slope that has passed through bfloat16 layers has errors of 2^-9 in each value, which the norm averages out.
        The norm itself is near 1 and has to be float32: bfloat16 would lose the difference that the penalty squares.
        """
        mix = torch.rand(len(real), 1, 1, 1, device=real.device, generator=rng)
        between = torch.lerp(fake.float(), real.float(), mix).requires_grad_()
        (slope,) = torch.autograd.grad(critic(between).float().sum(), between, create_graph=True)
        with torch.autocast(real.device.type, enabled=False):
            norm = slope.flatten(1).norm(dim=1)
            return self.penalty_weight * (norm - 1).square().mean()
