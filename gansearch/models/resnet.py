"""The residual GAN of SNGAN (Miyato et al. 2018, appendix B, table 4), the best one of that paper on CIFAR-10."""

import math
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from gansearch.models.base import ImageShape, Model, Trunk, num_halvings
from gansearch.models.blocks import ToMaps, batch_norm, conv, dense, glorot_init
from gansearch.models.stack import SMALLEST
from gansearch.registry import component

_D_SMALLEST = 8


def _residual_init(weight: Tensor) -> Tensor:
    """Initialises like Glorot & Bengio with the gain of ReLU, which precedes every convolution of the residual path."""
    return nn.init.xavier_uniform_(weight, gain=math.sqrt(2))


class UpBlock(nn.Module):
    """Maps (N, C, H, W) to (N, C, 2H, 2W).

    The residual path is batch norm, ReLU, nearest upsampling and two convolutions; the shortcut is a 1 x 1 convolution.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = batch_norm(channels), batch_norm(channels)
        self.conv1 = conv(channels, channels, 3, padding=1, init=_residual_init)
        self.conv2 = conv(channels, channels, 3, padding=1, init=_residual_init)
        self.shortcut = conv(channels, channels, 1, init=glorot_init)

    def forward(self, x: Tensor) -> Tensor:
        wide = F.interpolate(F.relu(self.norm1(x)), scale_factor=2)
        residual = self.conv2(F.relu(self.norm2(self.conv1(wide))))
        # The 1 x 1 convolution comes before the upsampling: the same values at a quarter of the work.
        return residual + F.interpolate(self.shortcut(x), scale_factor=2)


class DownBlock(nn.Module):
    """Maps (N, cin, H, W) to (N, cout, H, W), or to half the resolution with `halve`.

    The residual path is ReLU and convolution, twice, then average pooling. With `first` the input is an image, so that
    no ReLU comes before the first convolution.
    """

    def __init__(self, cin: int, cout: int, *, halve: bool, sn: bool, first: bool = False) -> None:
        super().__init__()
        self.halve, self.first = halve, first
        self.conv1 = conv(cin, cout, 3, padding=1, sn=sn, init=_residual_init)
        self.conv2 = conv(cout, cout, 3, padding=1, sn=sn, init=_residual_init)
        self.shortcut = conv(cin, cout, 1, sn=sn, init=glorot_init) if halve else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        residual = self.conv2(F.relu(self.conv1(x if self.first else F.relu(x))))
        if not self.halve:
            return residual + x
        return F.avg_pool2d(residual, 2) + self.shortcut(F.avg_pool2d(x, 2))


class SumPool(nn.Module):
    """Applies ReLU and sums over all positions: (N, C, H, W) to (N, C)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x).sum((2, 3))


@component
class ResNet(Model):
    """G is a dense layer to 4 x 4 and a block for every doubling; all maps have `features` channels.

    D is blocks that halve maps down to 8 x 8, two more blocks and a sum; all maps have `d_features` channels.

    Args:
        features: Channels of the maps of G.
        d_features: Channels of the maps of D.
        spectral_norm: Puts spectral norm on all layers of D.
    """

    z_dim: Annotated[int, Field(ge=1, le=2**14)] = 128
    features: Annotated[int, Field(ge=8, le=4096)] = 256
    d_features: Annotated[int, Field(ge=8, le=4096)] = 128
    spectral_norm: bool = True

    def upsampler(self, inputs: int, shape: ImageShape) -> nn.Module:
        width = self.features
        layers = [dense(inputs, width * SMALLEST**2, init=glorot_init), ToMaps(SMALLEST)]
        layers += [UpBlock(width) for _ in range(num_halvings(shape.resolution))]
        last = conv(width, shape.channels, 3, padding=1, init=glorot_init)
        return nn.Sequential(*layers, batch_norm(width), nn.ReLU(inplace=True), last, nn.Tanh())

    def trunk(self, shape: ImageShape, *, per_image: bool) -> Trunk:
        width, sn = self.d_features, self.spectral_norm
        halvings = num_halvings(shape.resolution, _D_SMALLEST)
        layers = [DownBlock(shape.channels, width, halve=True, sn=sn, first=True)]
        layers += [DownBlock(width, width, halve=number < halvings, sn=sn) for number in range(1, halvings + 2)]
        return Trunk(nn.Sequential(*layers, SumPool()), width, sn)
