"""The averaged generator, which is scored and exported (Yazici et al. 2019)."""

import copy

import torch
from torch import Tensor, nn

_RAMP_UP = 0.05


class EMA:
    """An exponential moving average of the weights and batch-norm statistics of G.

    Early in training the half-life is at most 5 % of the images shown, as in EDM (Karras et al. 2022), so that the
    average forgets the initial weights.

    Args:
        G: The generator; `model` starts as a copy of it.
        half_life_kimg: The half-life in thousands of images; 0 disables averaging.
    """

    def __init__(self, G: nn.Module, half_life_kimg: float) -> None:
        self.model = copy.deepcopy(G).eval().requires_grad_(False)
        self._half_life = half_life_kimg * 1000
        self._pairs = _float_pairs(self.model, G)
        self._directions = [value for name, value in self.model.named_buffers() if name.endswith(("._u", "._v"))]

    @torch.no_grad()
    def update(self, shown: int, step: int) -> None:
        """Updates the average with G after `shown` real images, `step` of them since the last update."""
        half_life = min(self._half_life, shown * _RAMP_UP)
        weight = 1 - 0.5 ** (step / half_life) if half_life > 0 else 1.0
        averaged, current = self._pairs
        torch._foreach_lerp_(averaged, current, weight)
        if self._directions:  # spectral norm needs singular vectors of length 1, and an average is shorter
            torch._foreach_div_(self._directions, torch._foreach_norm(self._directions))


def _float_pairs(averaged: nn.Module, current: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """Returns the floating-point tensors of both networks; batch norm's counters do not matter in eval mode."""
    pairs = [
        (mine, theirs)
        for mine, theirs in zip(averaged.state_dict().values(), current.state_dict().values(), strict=True)
        if mine.is_floating_point()
    ]
    return [mine for mine, _ in pairs], [theirs for _, theirs in pairs]
