"""The averaged generator, which is what gets scored and exported (Yazici et al. 2019)."""

import copy

import torch
from torch import Tensor, nn

_RAMP_UP = 0.05


class EMA:
    """An exponential moving average of G's weights and batch-norm statistics, with a half-life in images.

    While training is young the half-life is at most 5 % of what was shown, as in EDM (Karras et al. 2022), so that
    the average forgets the initial weights.
    """

    def __init__(self, G: nn.Module, half_life_kimg: float) -> None:
        self.model = copy.deepcopy(G).eval().requires_grad_(False)
        self._half_life = half_life_kimg * 1000
        self._pairs = _float_pairs(self.model, G)
        self._directions = [value for name, value in self.model.named_buffers() if name.endswith(("._u", "._v"))]

    @torch.no_grad()
    def update(self, shown: int, step: int) -> None:
        """Takes in G as it is after `shown` real images, of which `step` since the last update."""
        half_life = min(self._half_life, shown * _RAMP_UP)
        weight = 1 - 0.5 ** (step / half_life) if half_life > 0 else 1.0
        averaged, current = self._pairs
        torch._foreach_lerp_(averaged, current, weight)
        if self._directions:  # spectral norm takes these singular vectors as they are: an average is too short
            torch._foreach_div_(self._directions, torch._foreach_norm(self._directions))


def _float_pairs(averaged: nn.Module, current: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """The floating tensors of both; the rest (batch norm's counters) is of no use to a network in eval mode."""
    pairs = [
        (mine, theirs)
        for mine, theirs in zip(averaged.state_dict().values(), current.state_dict().values(), strict=True)
        if mine.is_floating_point()
    ]
    return [mine for mine, _ in pairs], [theirs for _, theirs in pairs]
