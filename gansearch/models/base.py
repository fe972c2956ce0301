"""What a model is: options from which G and D are built for images of a given shape."""

from abc import ABC, abstractmethod
from typing import Annotated, NamedTuple

from pydantic import Field
from torch import nn

from gansearch.registry import component


class ImageShape(NamedTuple):
    """Square images: (channels, resolution, resolution)."""

    channels: int
    resolution: int


@component
class Model(ABC):
    """A pair of networks. A subclass in a file of its own is found by the registry."""

    z_dim: Annotated[int, Field(ge=1)] = 100

    @abstractmethod
    def generator(self, shape: ImageShape) -> nn.Module:
        """G: z (N, z_dim) to images (N, C, H, W) in [-1, 1]; UserError for a shape it can't make."""

    @abstractmethod
    def discriminator(self, shape: ImageShape, *, per_image: bool) -> nn.Module:
        """D: images (N, C, H, W) in [-1, 1] to logits (N,).

        With `per_image` the loss needs a logit to depend on its own image alone; UserError where the options
        demand otherwise (batch norm).
        """
