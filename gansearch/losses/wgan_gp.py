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
    """D: -D(x) + D(G(z)) + penalty_weight * (|grad D(x')| - 1)^2 at random points x' between pairs; G: -D(G(z))."""

    per_image: ClassVar[bool] = True

    penalty_weight: Annotated[float, Field(gt=0)] = 10.0

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, rng: Generator) -> Tensor:
        """The penalty over (N, C, H, W) pairs, in float32 whatever autocast is in force.

        Both gradients, that of D by its input and that of the penalty by D's weights, then pass through float32
        operations only: the square of a bfloat16 norm near 1 has lost what the penalty measures.
        """
        real, fake = real.float(), fake.float()
        mix = torch.rand(len(real), 1, 1, 1, device=real.device, generator=rng)
        between = torch.lerp(fake, real, mix).requires_grad_()
        with torch.autocast(real.device.type, enabled=False):
            (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
            norm = slope.flatten(1).norm(dim=1)
            return self.penalty_weight * (norm - 1).square().mean()
