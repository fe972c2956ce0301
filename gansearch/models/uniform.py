"""A convolutional GAN without normalisation whose maps all have the same number of channels."""

from typing import Annotated

from pydantic import Field
from torch import nn

from gansearch.models.base import ImageShape, Model, Trunk, num_halvings
from gansearch.models.blocks import FromMaps, conv, glorot_init
from gansearch.models.stack import SMALLEST, Style, down, up
from gansearch.registry import component

_D_SMALLEST = 2


@component
class Uniform(Model):
    """G is a dense layer to 4 x 4, transposed convolutions up to the size of the image, and a convolution 8 x 8.

    D is convolutions 3 x 3 of stride 2 down to 2 x 2, dropout and a dense layer. Both use leaky ReLU.

    Args:
        features: Channels of all maps.
        leaky_slope: The slope of leaky ReLU in G and D.
    """

    features: Annotated[int, Field(ge=8, le=4096)] = 128
    leaky_slope: Annotated[float, Field(ge=0, lt=1)] = 0.2
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.4

    def upsampler(self, inputs: int, shape: ImageShape) -> nn.Module:
        widths = [self.features] * (1 + num_halvings(shape.resolution))
        style = Style(slope=self.leaky_slope, init=glorot_init)
        colours = [nn.ZeroPad2d((3, 4, 3, 4)), conv(self.features, shape.channels, 8, init=glorot_init)]
        return nn.Sequential(*up(inputs, widths, style), *colours, nn.Tanh())

    def trunk(self, shape: ImageShape, *, per_image: bool) -> Trunk:
        num_halvings(shape.resolution, SMALLEST)  # G generates no smaller images
        widths = [self.features] * num_halvings(shape.resolution, _D_SMALLEST)
        style = Style(slope=self.leaky_slope, init=glorot_init, twice_differentiable=per_image)
        layers = down(shape.channels, shape.resolution, widths, style, kernel=3)
        return Trunk(nn.Sequential(*layers, FromMaps()), self.features * _D_SMALLEST**2)
