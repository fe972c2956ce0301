"""What a model is: options from which G and D are built for data of a given shape."""

from abc import ABC, abstractmethod
from typing import Annotated, Literal, NamedTuple

from pydantic import Field
from torch import nn

from gansearch.errors import UserError
from gansearch.models.conditional import HEADS, Discriminator, Generator
from gansearch.registry import component


class ImageShape(NamedTuple):
    """Square images (channels, resolution, resolution) and how many classes they have; 0: no labels."""

    channels: int
    resolution: int
    classes: int = 0


class Trunk(NamedTuple):
    """D without its last layer: images (N, C, H, W) to features (N, `features`); `sn`: spectral norm in the head."""

    net: nn.Module
    features: int
    sn: bool = False


@component
class Model(ABC):
    """A pair of networks. A subclass in a file of its own is found by the registry.

    `conditioning` says how labels reach D, `none` that neither net sees them; G takes them as a one-hot vector joined
    to z. `dropout` is the share of features dropped before D's last layer.
    """

    z_dim: Annotated[int, Field(ge=1)] = 100
    conditioning: Literal["none", "concat", "projection", "acgan"] = "none"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0

    @property
    def conditional(self) -> bool:
        return self.conditioning != "none"

    @abstractmethod
    def upsampler(self, inputs: int, shape: ImageShape) -> nn.Module:
        """G's net: (N, inputs) to images (N, C, H, W) in [-1, 1]; UserError for a shape it can't make."""

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
        """G: z (N, z_dim) and labels (N,) to images; UserError where it can't be built."""
        classes = self._classes(shape)
        return Generator(self.upsampler(self.z_dim + classes, shape), classes)

    def discriminator(self, shape: ImageShape, *, per_image: bool) -> Discriminator:
        """D: images and labels to a DiscriminatorOutput; UserError where it can't be built."""
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
    """How often `resolution` halves down to maps of `smallest`; UserError unless it is a larger power of two."""
    if resolution <= smallest or resolution & (resolution - 1):
        raise UserError(f"data.resolution={resolution}: set a power of two from {2 * smallest} (32, 64, ...)")
    return (resolution // smallest).bit_length() - 1
