"""A GAN of dense layers alone (as in Goodfellow et al. 2014), with batch norm in G."""

from itertools import pairwise
from typing import Annotated

from pydantic import Field
from torch import nn

from gansearch.models.base import ImageShape, Model, Trunk
from gansearch.models.blocks import FromMaps, ToMaps, batch_norm, dense, glorot_init
from gansearch.models.leaky import LeakyReLU
from gansearch.registry import component


@component
class MLP(Model):
    """A GAN of dense layers for any resolution.

    G has layers of 1, 2 and 4 times `features`, each with batch norm and leaky ReLU, and one layer to the pixels.
    D has layers of 2, 1 and 1/2 times `features`, each with leaky ReLU.

    Args:
        features: The width of G's first layer.
        leaky_slope: The slope of leaky ReLU in G and D.
    """

    features: Annotated[int, Field(ge=8, le=2**14, multiple_of=2)] = 256
    leaky_slope: Annotated[float, Field(ge=0, lt=1)] = 0.2

    def upsampler(self, inputs: int, shape: ImageShape) -> nn.Module:
        layers: list[nn.Module] = []
        widths = [inputs, self.features, 2 * self.features, 4 * self.features]
        for cin, cout in pairwise(widths):
            layers += [dense(cin, cout, init=glorot_init), batch_norm(cout, dims=1), LeakyReLU(self.leaky_slope)]
        pixels = dense(widths[-1], _pixels(shape), init=glorot_init)
        return nn.Sequential(*layers, pixels, nn.Tanh(), ToMaps(shape.resolution))

    def trunk(self, shape: ImageShape, *, per_image: bool) -> Trunk:
        layers: list[nn.Module] = [FromMaps()]
        widths = [_pixels(shape), 2 * self.features, self.features, self.features // 2]
        for cin, cout in pairwise(widths):
            activation = LeakyReLU(self.leaky_slope, twice_differentiable=per_image)
            layers += [dense(cin, cout, init=glorot_init), activation]
        return Trunk(nn.Sequential(*layers), widths[-1])


def _pixels(shape: ImageShape) -> int:
    return shape.channels * shape.resolution**2
