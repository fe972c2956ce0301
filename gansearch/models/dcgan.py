"""DCGAN (Radford et al. 2016) with optional self-attention (SAGAN) and spectral norm in D (SNGAN)."""

from typing import Annotated, Literal

from pydantic import Field
from torch import nn

from gansearch.errors import UserError
from gansearch.models.attention import SelfAttention
from gansearch.models.base import ImageShape, Model
from gansearch.models.blocks import Reshape, batch_norm, conv, conv_transpose
from gansearch.registry import component


@component
class DCGAN(Model):
    """One stack for every power-of-two resolution from 8: maps of 4, 8, ... up to the image, and back in D.

    The widest map (4 x 4) has `features * resolution / 8` channels, the one before the image `features`.
    `d_norm` is what normalises D's maps: `auto` is batch norm, and none where spectral norm is on or where the loss
    needs D to judge each image by itself.
    """

    features: Annotated[int, Field(ge=8)] = 64
    leaky_slope: Annotated[float, Field(ge=0, lt=1)] = 0.2
    attention_at: Literal["none", 8, 16] = "none"
    spectral_norm: bool = False
    d_norm: Literal["auto", "none", "batch"] = "auto"

    def generator(self, shape: ImageShape) -> nn.Module:
        widths = self._widths(shape)
        layers: list[nn.Module] = [Reshape(self.z_dim, 1, 1)]
        size, channels = 1, self.z_dim
        for width in reversed(widths):
            up = (4, 1, 0) if size == 1 else (4, 2, 1)
            layers += [conv_transpose(channels, width, *up), batch_norm(width), nn.ReLU(inplace=True)]
            size, channels = 4 if size == 1 else size * 2, width
            layers += self._attention(size, channels, sn=False)
        return nn.Sequential(*layers, conv_transpose(channels, shape.channels, 4, 2, 1), nn.Tanh())

    def discriminator(self, shape: ImageShape, *, per_image: bool) -> nn.Module:
        if per_image and self.d_norm == "batch":
            raise UserError("model.d_norm=batch mixes images, which the loss does not allow: set it to auto or none")
        batch_normed = self.d_norm == "batch" or (self.d_norm == "auto" and not (self.spectral_norm or per_image))
        layers: list[nn.Module] = []
        size, channels = shape.resolution, shape.channels
        for width in self._widths(shape):
            first = size == shape.resolution
            size //= 2
            layers.append(conv(channels, width, 4, 2, 1, sn=self.spectral_norm))
            if batch_normed and not first:  # none on D's input layer, as in the paper
                layers.append(batch_norm(width))
            layers += [nn.LeakyReLU(self.leaky_slope, inplace=True)]
            layers += self._attention(size, width, sn=self.spectral_norm)
            channels = width
        return nn.Sequential(*layers, conv(channels, 1, 4, sn=self.spectral_norm), nn.Flatten(0))

    def _widths(self, shape: ImageShape) -> list[int]:
        """Channels of the maps from half the resolution down to 4 x 4; checks the shape."""
        resolution = shape.resolution
        if resolution < 8 or resolution & (resolution - 1):
            raise UserError(f"data.resolution={resolution}: dcgan needs a power of two from 8 (32, 64, ...)")
        if self.attention_at != "none" and self.attention_at > resolution // 2:
            raise UserError(
                f"model.attention_at={self.attention_at}: at data.resolution={resolution} the largest map "
                f"is {resolution // 2}"
            )
        return [self.features << level for level in range(resolution.bit_length() - 3)]

    def _attention(self, size: int, channels: int, *, sn: bool) -> list[nn.Module]:
        return [SelfAttention(channels, sn=sn)] if size == self.attention_at else []
