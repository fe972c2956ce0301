"""The base class of models: options from which G and D are built for images of a given shape."""

from abc import ABC, abstractmethod
from typing import Annotated, Literal, NamedTuple

from pydantic import Field
from torch import nn

from gansearch.errors import UserError
from gansearch.models.conditional import HEADS, Discriminator, Generator
from gansearch.registry import component


class ImageShape(NamedTuple):
    """The shape of square images (channels, resolution, resolution) and their number of classes, 0 without labels."""

    channels: int
    resolution: int
    classes: int = 0


class Trunk(NamedTuple):
    """D without the head: `net` maps images (N, C, H, W) to features (N, `features`).

    `sn` puts spectral norm on the layers of the head too.
    """

    net: nn.Module
    features: int
    sn: bool = False


@component
class Model(ABC):
    """A pair of networks. The registry finds a subclass in a file of its own.

    Args:
        z_dim: The size of z, the input of G.
        conditioning: How labels reach D. With `none` neither network uses labels; else G takes z and the label as a
            one-hot vector.
        dropout: The share of features that is dropped before the head of D.
    """

    z_dim: Annotated[int, Field(ge=1, le=2**14)] = 100
    conditioning: Literal["none", "concat", "projection", "acgan"] = "none"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0

    @property
    def conditional(self) -> bool:
        return self.conditioning != "none"

    @abstractmethod
    def upsampler(self, inputs: int, shape: ImageShape) -> nn.Module:
        """Builds the net of G, which maps (N, inputs) to images (N, C, H, W) in [-1, 1].

        Raises:
            UserError: G can't generate images of this shape.
        """

    @abstractmethod
    def trunk(self, shape: ImageShape, *, per_image: bool) -> Trunk:
        """Builds D up to its features.

        Args:
            shape: The shape of the images.
            per_image: The loss differentiates D by each single image (`Loss.per_image`). No layer may mix the images
                of a batch, and every layer needs a second derivative.

        Raises:
            UserError: D can't take images of this shape, or the options ask for a layer that mixes images.
        """

    def generator(self, shape: ImageShape) -> Generator:
        """Builds G, which maps z (N, z_dim) and labels (N,) to images; UserError where that is impossible."""
        classes = self._classes(shape)
        return Generator(self.upsampler(self.z_dim + classes, shape), classes)

    def discriminator(self, shape: ImageShape, *, per_image: bool) -> Discriminator:
        """Builds D, which maps images and labels to a DiscriminatorOutput; UserError where that is impossible."""
        trunk = self.trunk(shape, per_image=per_image)
        head = HEADS[self.conditioning](trunk.features, self._classes(shape), sn=trunk.sn)
        return Discriminator(trunk.net, head, self.dropout)

    def _classes(self, shape: ImageShape) -> int:
        if self.conditional and not shape.classes:
            raise UserError(
                f"model.conditioning={self.conditioning}: the data set has no labels; set it to none, or give images "
                "in a folder per class"
            )
        return shape.classes if self.conditional else 0


def num_halvings(resolution: int, smallest: int = 4) -> int:
    """Returns how often a map of `resolution` rows has to be halved to have `smallest` rows.

    Raises:
        UserError: `resolution` is no power of two, or not larger than `smallest`.
    """
    if resolution <= smallest or resolution & (resolution - 1):
        raise UserError(f"data.resolution={resolution}: set a power of two from {2 * smallest} (32, 64, ...)")
    return (resolution // smallest).bit_length() - 1
