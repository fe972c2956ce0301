"""Self-attention over the positions of a feature map (SAGAN, Zhang et al. 2019, section 3)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gansearch.models.blocks import conv


class SelfAttention(nn.Module):
    """Maps (N, C, H, W) to the same shape: y = x + gamma * o, where gamma starts at 0.

    f and g project to C/8 channels, h and the output projection to C. The softmax runs over the positions that a
    query attends to, without the scale of dot-product attention, as in the paper.

    Args:
        channels: C.
        sn: Puts spectral norm on all four projections.
        twice_differentiable: Computes the map on a GPU too, since the fused kernel there has no second derivative.
    """

    def __init__(self, channels: int, *, sn: bool = False, twice_differentiable: bool = False) -> None:
        super().__init__()
        inner = max(1, channels // 8)
        self.f = conv(channels, inner, 1, sn=sn)
        self.g = conv(channels, inner, 1, sn=sn)
        self.h = conv(channels, channels, 1, sn=sn)
        self.out = conv(channels, channels, 1, sn=sn)
        self.gamma = nn.Parameter(torch.zeros(()))
        self.twice_differentiable = twice_differentiable

    def attention(self, x: Tensor) -> Tensor:
        """Returns the map (N, HW, HW): row q holds the weights of all positions for query position q, with sum 1."""
        return torch.softmax(self._rows(self.f, x) @ self._rows(self.g, x).transpose(1, 2), dim=-1)

    def forward(self, x: Tensor) -> Tensor:
        # On a CPU the fused kernel takes twice as long as the map.
        fused = x.is_cuda and not self.twice_differentiable
        o = self.fused(x) if fused else self.attention(x) @ self._rows(self.h, x)
        return x + self.gamma * self.out(o.transpose(1, 2).unflatten(2, x.shape[2:]))

    def fused(self, x: Tensor) -> Tensor:
        """Returns the map times the projection h, (N, HW, C), from torch's fused kernel."""
        query, key, value = (self._rows(project, x).unsqueeze(1) for project in (self.f, self.g, self.h))
        return F.scaled_dot_product_attention(query, key, value, scale=1.0).squeeze(1)

    @staticmethod
    def _rows(project: nn.Module, x: Tensor) -> Tensor:
        """Returns a projection of every position, (N, HW, C'); a view where the layout is channels last."""
        return project(x).flatten(2).transpose(1, 2)
