"""Self-attention over the positions of a feature map (SAGAN, Zhang et al. 2019, section 3)."""

import torch
from torch import Tensor, nn

from gansearch.models.blocks import conv


class SelfAttention(nn.Module):
    """(N, C, H, W) to the same shape: y = x + gamma * o, with gamma starting at 0.

    f and g project to C/8 channels, h and the output projection keep C. The softmax runs over the positions that a
    query looks at, without the scale of dot-product attention, as in the paper.
    """

    def __init__(self, channels: int, *, sn: bool = False) -> None:
        super().__init__()
        inner = max(1, channels // 8)
        self.f = conv(channels, inner, 1, sn=sn)
        self.g = conv(channels, inner, 1, sn=sn)
        self.h = conv(channels, channels, 1, sn=sn)
        self.out = conv(channels, channels, 1, sn=sn)
        self.gamma = nn.Parameter(torch.zeros(()))

    def attention(self, x: Tensor) -> Tensor:
        """The map (N, HW, HW): row q is where query position q looks; rows sum to 1."""
        query, key = self.f(x).flatten(2), self.g(x).flatten(2)
        with torch.autocast(x.device.type, enabled=False):  # which would make the product bfloat16 again
            return torch.softmax(query.transpose(1, 2).float() @ key.float(), dim=-1)

    def forward(self, x: Tensor) -> Tensor:
        value = self.h(x).flatten(2)
        o = value @ self.attention(x).transpose(1, 2).to(value.dtype)
        return x + self.gamma * self.out(o.reshape(x.shape))
