"""DCGAN (Radford et al. 2016) with optional self-attention (SAGAN) and spectral norm in D (SNGAN)."""

from typing import Annotated, Literal

from pydantic import Field
from torch import nn

from gansearch.errors import UserError
from gansearch.models.base import ImageShape, Model, Trunk
from gansearch.models.blocks import INITS, FromMaps, conv_transpose
from gansearch.models.stack import SMALLEST, AttentionAt, Style, channel_widths, down, up
from gansearch.registry import component


@component
class DCGAN(Model):
    """G doubles maps from 4 x 4 up to the image; D halves the image down to 4 x 4.

    Args:
        features: Channels of the largest maps. The smallest maps have `features * resolution / 8`.
        g_slope: The slope of leaky ReLU in G; 0 is ReLU.
        leaky_slope: The slope of leaky ReLU in D.
        attention_at: Puts self-attention after the maps with this many rows, in G and in D.
        spectral_norm: Puts spectral norm on all layers of D.
        d_norm: Normalises the maps of D. `auto` is batch norm, or none where `spectral_norm` is set or where the loss
            differentiates D by each single image.
        init: The initialisation: N(0, 0.02), or that of Glorot & Bengio.
    """

    features: Annotated[int, Field(ge=8, le=4096)] = 64
    g_slope: Annotated[float, Field(ge=0, lt=1)] = 0.0
    leaky_slope: Annotated[float, Field(ge=0, lt=1)] = 0.2
    attention_at: AttentionAt = "none"
    spectral_norm: bool = False
    d_norm: Literal["auto", "none", "batch"] = "auto"
    init: Literal["normal", "glorot"] = "normal"

    def upsampler(self, inputs: int, shape: ImageShape) -> nn.Module:
        widths = channel_widths(self.features, shape.resolution, self.attention_at)
        style = Style(slope=self.g_slope, normed=True, attention_at=self.attention_at, init=INITS[self.init])
        last = conv_transpose(widths[0], shape.channels, bias=False, init=style.init)
        return nn.Sequential(*up(inputs, widths[::-1], style), last, nn.Tanh())

    def trunk(self, shape: ImageShape, *, per_image: bool) -> Trunk:
        if per_image and self.d_norm == "batch":
            raise UserError("model.d_norm=batch mixes images, which the loss does not allow: set it to auto or none")
        sn = self.spectral_norm
        widths = channel_widths(self.features, shape.resolution, self.attention_at)
        normed = self.d_norm == "batch" or (self.d_norm == "auto" and not (sn or per_image))
        style = Style(
            slope=self.leaky_slope,
            normed=normed,
            sn=sn,
            attention_at=self.attention_at,
            attention_sn=sn,
            init=INITS[self.init],
            twice_differentiable=per_image,
        )
        net = nn.Sequential(*down(shape.channels, shape.resolution, widths, style), FromMaps())
        return Trunk(net, widths[-1] * SMALLEST**2, sn)
