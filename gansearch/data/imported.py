"""`data.name=MODULE:CLASS` for a `torch.utils.data.Dataset`, such as one of torchvision or one's own."""

import inspect
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils import data

from gansearch.data.base import Dataset, Images, NoSplit, Split, require_images, resize
from gansearch.errors import UserError, kind_and_message, one_line
from gansearch.registry import component, from_signature

_MOST_CLASSES = 100_000  # without names; a larger label is an id of something else
_TRANSFORMS = ("transform", "target_transform", "transforms")  # of torchvision; a trial has its own


@component
class TorchDataset(Dataset):
    """A torch data set whose items are images, or pairs (image, label). Its arguments are the options.

    Arguments `train`, `split` and `resolution` of its constructor are given by the trial; without one of the first two
    it has the split `train` only. An argument whose default is no data, such as a function, keeps that.
    An image is a PIL image, a uint8 tensor (C, H, W), or a float tensor (C, H, W) in [0, 1]. The centre square is
    resized to `resolution`. Labels are whole numbers from 0; `classes` of the data set has their names.
    """

    made: ClassVar[type[data.Dataset]]

    def load(self, split: Split) -> Images:
        where = f"{self.made.__module__}:{self.made.__qualname__}"
        try:
            dataset: Any = self.made(**self._arguments(split))
            items = [dataset[index] for index in range(len(dataset))]
        except NoSplit:
            raise
        except (Exception, SystemExit) as error:  # the user's code: whatever is wrong in it is the user's to fix
            raise UserError(f"data {where}: {kind_and_message(error)}") from error
        if not items:
            raise UserError(f"data {where} has no images of the split {split}: give it some")
        pairs = [item if isinstance(item, tuple | list) else (item, None) for item in items]
        if any(len(pair) != 2 for pair in pairs) or len({pair[1] is None for pair in pairs}) > 1:
            raise UserError(f"data {where}: make every item an image, or every item a pair (image, label)")
        try:
            require_images(len(pairs), len(_pixels(pairs[0][0])), self.resolution)
            pixels = torch.stack(list(_squares((pair[0] for pair in pairs), self.resolution)))
            labels = None if pairs[0][1] is None else torch.tensor([_whole(pair[1]) for pair in pairs])
        except (ValueError, TypeError, RuntimeError, OSError) as error:  # OSError: PIL reads a file when it is needed
            raise UserError(f"data {where}: {one_line(error)}") from error
        return Images(pixels.contiguous(), labels, () if labels is None else self._classes(dataset, labels, where))

    def _arguments(self, split: Split) -> dict[str, Any]:
        accepted = inspect.signature(self.made).parameters
        arguments = {name: value for name, value in vars(self).items() if name in accepted}
        if "train" in accepted:
            return {**arguments, "train": split == "train"}
        if "split" in accepted:
            return {**arguments, "split": split}
        if split != "train":
            raise NoSplit(
                f"{self.made.__qualname__} takes neither `train` nor `split`, so it has no images for testing"
            )
        return arguments

    @staticmethod
    def _classes(dataset: Any, labels: Tensor, where: str) -> tuple[str, ...]:
        lowest, count = int(labels.min()), int(labels.max()) + 1
        named = getattr(dataset, "classes", None)
        names = tuple(map(str, named)) if isinstance(named, Collection) else None
        limit = _MOST_CLASSES if names is None else len(names)
        if lowest < 0 or count > limit:
            raise UserError(
                f"data {where}: labels lie between {lowest} and {count - 1}, but {limit} classes have numbers from 0 "
                f"to {limit - 1}: number them from 0"
            )
        return tuple(map(str, range(count))) if names is None else names


def _whole(label: Any) -> int:
    number = float(label)
    if not number.is_integer():
        raise ValueError(f"a label is {label}: give whole numbers from 0")
    return int(number)


def _squares(images: Iterable[Any], resolution: int) -> Iterator[Tensor]:
    """Yields images as uint8 (C, resolution, resolution); raises ValueError for what is no image."""
    channels = 0
    for image in images:
        pixels = _pixels(image)
        channels = channels or len(pixels)
        if len(pixels) != channels:
            raise ValueError(f"images have {channels} and {len(pixels)} channels: give all of them the same")
        side, (height, width) = min(pixels.shape[1:]), pixels.shape[1:]
        top, left = (height - side) // 2, (width - side) // 2
        yield resize(pixels[None, :, top : top + side, left : left + side].contiguous(), resolution)[0]


def _pixels(image: Any) -> Tensor:
    """Returns an image as uint8 (1 or 3, H, W)."""
    if isinstance(image, Image.Image):
        array = np.array(image if image.mode in {"L", "RGB"} else image.convert("RGB"))
        image = torch.from_numpy(array).unsqueeze(0) if array.ndim == 2 else torch.from_numpy(array).permute(2, 0, 1)
    if not isinstance(image, Tensor) or image.dim() != 3 or image.shape[0] not in {1, 3}:
        kind = tuple(image.shape) if isinstance(image, Tensor) else type(image).__name__
        raise ValueError(f"an item is {kind}: give a PIL image or a tensor (1 or 3, H, W)")
    if image.is_floating_point():
        if not bool(((image >= 0) & (image <= 1)).all()):
            raise ValueError("a float image has values outside [0, 1]: scale it, or give uint8")
        return (image * 255).round().to(torch.uint8)
    if image.dtype != torch.uint8:
        raise ValueError(f"an image is {image.dtype}: give uint8, or floats in [0, 1]")
    return image


@cache
def adapt(found: Any) -> type[Dataset] | None:
    """Returns a component for a subclass of torch's `Dataset`, None for anything else."""
    if not (inspect.isclass(found) and issubclass(found, data.Dataset)):
        return None
    return from_signature(found, TorchDataset, given={"train", "split", "resolution", *_TRANSFORMS})
