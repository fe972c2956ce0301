"""The base class of data sets: real images as uint8 in memory, with a fingerprint of their bytes."""

import contextlib
import hashlib
import os
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from gansearch.errors import UserError
from gansearch.registry import component

Split = Literal["train", "test"]

RESIZE_FILTER = "bicubic-antialias"
"""The filter that resizes the images of every data set; a part of a FID's protocol."""


class NoSplit(UserError):  # noqa: N818 -- the data set is in order
    """The data set is whole, but has no images of the requested split."""


@dataclass(frozen=True)
class Images:
    """Real images in memory.

    Attributes:
        pixels: uint8 (N, C, H, W) with H = W.
        labels: int64 (N,), or None.
        classes: The names of the classes that the labels number.
        known_fingerprint: The fingerprint, where it was cached with the pixels, so that they are not hashed again.
    """

    pixels: Tensor
    labels: Tensor | None = None
    classes: tuple[str, ...] = ()
    known_fingerprint: str | None = field(default=None, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def shape(self) -> tuple[int, int]:
        """(channels, resolution)."""
        return self.pixels.shape[1], self.pixels.shape[2]

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """The number of images of each class, which can be 0; empty without labels."""
        if self.labels is None:
            return ()
        return tuple(self.labels.bincount(minlength=len(self.classes)).tolist())

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the shape, the pixels and the labels; it does not depend on the memory layout or the device."""
        if self.known_fingerprint is not None:
            return self.known_fingerprint
        digest = hashlib.sha256(str(tuple(self.pixels.shape)).encode())
        for tensor in (self.pixels, self.labels):
            if tensor is not None:
                digest.update(tensor.contiguous().cpu().numpy().data)
        return digest.hexdigest()


@component
class Dataset(ABC):
    """A source of real images. The registry finds a subclass in a file of its own."""

    known_shape: ClassVar[tuple[int, int] | None] = None
    """The channels of its images and the number of its classes, where they are known before the data are read."""

    resolution: Annotated[int, Field(ge=8, le=1024)] = 32

    @abstractmethod
    def load(self, split: Split) -> Images:
        """Loads the images of a split at `resolution`, uint8 and contiguous.

        The pixels may be mapped from a file; writing to them changes neither the file nor the copies of others.

        Raises:
            NoSplit: The data set has no images of that split.
            UserError: The images are missing or damaged.
        """


def require_memory(size: int, what: str) -> None:
    """Raises UserError where `what` takes `size` bytes and the machine has less, before anything is allocated."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with contextlib.suppress(OSError, ValueError):  # no control group, or one without a limit
        memory = min(memory, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    if size > memory:
        raise UserError(f"{what} take {size / 2**30:.1f} GiB, and this machine has {memory / 2**30:.1f}: set it lower")


def require_images(count: int, channels: int, resolution: int) -> None:
    """Raises UserError where so many images of `resolution` do not fit the memory, before one of them is read."""
    require_memory(count * channels * resolution**2, f"data.resolution={resolution}: {count} images")


def resize(pixels: Tensor, resolution: int) -> Tensor:
    """Resizes uint8 images (N, C, H, W), H = W, to `resolution`: bicubic, antialiased, rounded, clamped to uint8.

    Computes in float64, so that rounding, and with it the fingerprint, does not depend on the machine.
    """
    if pixels.shape[-1] == resolution:
        return pixels
    require_images(len(pixels), pixels.shape[1], resolution)
    resized = pixels.new_empty((*pixels.shape[:2], resolution, resolution))
    # Few images at a time: float64 takes eight times the memory of uint8.
    for chunk, target in zip(pixels.split(256), resized.split(256), strict=True):
        wide = F.interpolate(chunk.double(), size=(resolution, resolution), mode="bicubic", antialias=True)
        target.copy_(wide.round_().clamp_(0, 255))
    return resized


def to_float(pixels: Tensor) -> Tensor:
    """Converts uint8 images to float32 in [-1, 1]."""
    return pixels.to(torch.float32) / 127.5 - 1


def to_uint8(images: Tensor) -> Tensor:
    """Converts images in [-1, 1] to uint8, rounded; values outside are clamped."""
    return ((images.float() + 1) * 127.5).round().clamp_(0, 255).to(torch.uint8)
