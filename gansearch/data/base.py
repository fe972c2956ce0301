"""What a data set is: real images as uint8, held in memory, with a fingerprint of their bytes."""

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from gansearch.registry import component

Split = Literal["train", "test"]


@dataclass(frozen=True)
class Images:
    """Real images: `pixels` uint8 (N, C, H, W) with H = W; `labels` int64 (N,) or None; class names."""

    pixels: Tensor
    labels: Tensor | None = None
    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def shape(self) -> tuple[int, int]:
        """(channels, resolution)."""
        return self.pixels.shape[1], self.pixels.shape[2]

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the shape, the pixels and the labels: of the bytes, not of where they lie."""
        digest = hashlib.sha256(str(tuple(self.pixels.shape)).encode())
        for tensor in (self.pixels, self.labels):
            if tensor is not None:
                digest.update(tensor.contiguous().cpu().numpy().data)
        return digest.hexdigest()


@component
class Dataset(ABC):
    """A source of real images. A subclass in a file of its own is found by the registry."""

    resolution: Annotated[int, Field(ge=8)] = 32

    @abstractmethod
    def load(self, split: Split) -> Images:
        """The images of a split at `resolution`; UserError where they are missing or broken."""


def to_float(pixels: Tensor) -> Tensor:
    """uint8 images to float32 in [-1, 1]."""
    return pixels.to(torch.float32) / 127.5 - 1


def to_uint8(images: Tensor) -> Tensor:
    """Images in [-1, 1] to uint8, rounded; values outside are clamped."""
    return ((images.float() + 1) * 127.5).round().clamp_(0, 255).to(torch.uint8)
