"""The stacks of (transposed) convolutions that all convolutional models share, for every power-of-two resolution."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from torch import nn

from gansearch.errors import UserError
from gansearch.models.attention import SelfAttention
from gansearch.models.base import num_halvings
from gansearch.models.blocks import Init, ToMaps, batch_norm, conv, conv_transpose, dcgan_init, dense
from gansearch.models.leaky import LeakyReLU

SMALLEST = 4  # G's first map
AttentionAt = Literal["none", 8, 16, 32]


@dataclass(frozen=True, kw_only=True)
class Style:
    """The options that all layers of a stack share.

    Args:
        slope: The slope of leaky ReLU; 0 is ReLU.
        normed: Puts batch norm after the convolutions.
        sn: Puts spectral norm on the convolutions.
        attention_at: Puts self-attention after the layer whose maps have this many rows.
        attention_sn: Puts spectral norm on the projections of the self-attention.
        init: Initialises the weights.
        twice_differentiable: Builds layers for a loss that differentiates the gradient of D once more.
    """

    slope: float
    normed: bool = False
    sn: bool = False
    attention_at: AttentionAt = "none"
    attention_sn: bool = False
    init: Init = dcgan_init
    twice_differentiable: bool = False

    def after(self, channels: int, size: int) -> list[nn.Module]:
        """Returns the layers that follow a convolution whose output is `channels` x `size` x `size`."""
        twice = self.twice_differentiable
        layers = [batch_norm(channels)] if self.normed else []
        layers.append(LeakyReLU(self.slope, twice_differentiable=twice))
        if size == self.attention_at:
            layers.append(SelfAttention(channels, sn=self.attention_sn, twice_differentiable=twice))
        return layers


def up(inputs: int, widths: Sequence[int], style: Style) -> list[nn.Module]:
    """Returns layers that map (N, inputs) to 4 x 4 by a dense layer and then double the maps again and again.

    `widths` are the channels of the maps, from the smallest map on.
    """
    bias = not style.normed  # batch norm would subtract it again
    first, size = widths[0], SMALLEST
    layers = [dense(inputs, first * size * size, bias=bias, init=style.init), ToMaps(size)]
    layers += style.after(first, size)
    for cin, cout in pairwise(widths):
        size *= 2
        layers += [conv_transpose(cin, cout, bias=bias, sn=style.sn, init=style.init), *style.after(cout, size)]
    return layers


def down(channels: int, size: int, widths: Sequence[int], style: Style, *, kernel: int = 4) -> list[nn.Module]:
    """Returns layers that halve images of `size` x `size` again and again.

    `widths` are the channels of the maps, from the largest map on. The first map is not normalised (Radford et al.
    2016, section 3).
    """
    layers: list[nn.Module] = []
    plain = replace(style, normed=False)
    for number, width in enumerate(widths):
        size //= 2
        layer_style = style if number else plain
        layers.append(conv(channels, width, kernel, 2, 1, bias=not layer_style.normed, sn=style.sn, init=style.init))
        layers += layer_style.after(width, size)
        channels = width
    return layers


def channel_widths(features: int, resolution: int, attention_at: AttentionAt) -> list[int]:
    """Returns the channels of maps from half of `resolution` down to 4 x 4: `features`, then always twice as many.

    Raises:
        UserError: The resolution is no power of two, or no map is `attention_at` x `attention_at`.
    """
    halvings = num_halvings(resolution)
    if attention_at != "none" and attention_at > resolution // 2:
        raise UserError(
            f"model.attention_at={attention_at}: at data.resolution={resolution} the largest map is "
            f"{resolution // 2}; set that, a smaller one or none"
        )
    return [features << number for number in range(halvings)]
