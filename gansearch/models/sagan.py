"""A self-attention GAN with a dense last layer: attention in G and D, spectral norm on the strided convolutions."""

from typing import Annotated

from pydantic import Field
from torch import nn

from gansearch.models.base import ImageShape, Model, Trunk
from gansearch.models.blocks import FromMaps, conv, conv_transpose
from gansearch.models.leaky import LeakyReLU
from gansearch.models.stack import SMALLEST, AttentionAt, Style, channel_widths, down, up
from gansearch.registry import component


@component
class SAGAN(Model):
    """A variant of SAGAN (Zhang et al. 2019).

    D has convolutions 4 x 4 that halve the maps and double the channels, from `features` on. A convolution 3 x 3 then
    doubles the channels once more at 4 x 4, and a dense layer follows. G is a dense layer to 4 x 4 and transposed
    convolutions, with batch norm and ReLU. Unlike in the paper, spectral norm is only on the (transposed) convolutions
    that change the resolution. D has no batch norm, so that it serves any loss.

    Args:
        features: Channels of the largest maps.
        leaky_slope: The slope of leaky ReLU in D.
        attention_at: Puts self-attention after the maps with this many rows, in G and in D.
    """

    features: Annotated[int, Field(ge=8, le=4096)] = 64
    leaky_slope: Annotated[float, Field(ge=0, lt=1)] = 0.1
    attention_at: AttentionAt = 8

    def upsampler(self, inputs: int, shape: ImageShape) -> nn.Module:
        widths = channel_widths(self.features, shape.resolution, self.attention_at)
        style = Style(slope=0.0, normed=True, sn=True, attention_at=self.attention_at)
        last = conv_transpose(widths[0], shape.channels, sn=True)
        return nn.Sequential(*up(inputs, widths[::-1], style), last, nn.Tanh())

    def trunk(self, shape: ImageShape, *, per_image: bool) -> Trunk:
        widths = channel_widths(self.features, shape.resolution, self.attention_at)
        wide = 2 * widths[-1]
        style = Style(slope=self.leaky_slope, sn=True, attention_at=self.attention_at, twice_differentiable=per_image)
        layers = down(shape.channels, shape.resolution, widths, style)
        activation = LeakyReLU(self.leaky_slope, twice_differentiable=per_image)
        layers += [conv(widths[-1], wide, 3, 1, 1), activation, FromMaps()]
        return Trunk(nn.Sequential(*layers), wide * SMALLEST**2)
