"""Real images in memory and in batches.

The data set lies on the device as uint8, and a batch is an index operation; one too large for a GPU is streamed.
"""

from functools import lru_cache
from typing import Any

import torch
from torch import Generator, Tensor

from gansearch import registry
from gansearch.config import DataConfig
from gansearch.data.base import Images, Split, to_float
from gansearch.data.stream import Stream
from gansearch.device import free_memory
from gansearch.errors import UserError

_SHARE = 0.25  # of the memory that a process may take of a GPU


def load_images(section: DataConfig, split: Split) -> Images:
    """Loads the images that `section` names, once per process: equal sections share one copy.

    Raises:
        NoSplit: The data set has no images of that split.
        UserError: The data set's name or options are wrong, or its images are missing or damaged.
    """
    return _load(section.model_dump_json(), split)


@lru_cache(maxsize=4)
def _load(section: str, split: Split) -> Images:
    images: Images = registry.build("data", DataConfig.model_validate_json(section)).load(split)
    return images


def device_images(section: DataConfig, device: torch.device) -> Images:
    """Loads the training images for `device`, once per process: its trials share them.

    Pixels that would fill more than a quarter of the memory that this process may take of a GPU stay where they are, in
    the memory of the machine or mapped from a file; `Batches` then brings each batch over. Labels lie on the device.
    Raises as `load_images` does.
    """
    return _on_device(section.model_dump_json(), device)


@lru_cache(maxsize=1)
def _on_device(section: str, device: torch.device) -> Images:
    images = load_images(DataConfig.model_validate_json(section), "train")
    pixels = images.pixels
    if device.type == "cpu" or pixels.nbytes <= _SHARE * free_memory(device):
        pixels = pixels.to(device)
    labels = None if images.labels is None else images.labels.to(device)
    return Images(pixels, labels, images.classes)


class Batches:
    """Endless batches of shuffled `images`; the images of an epoch that do not fill a batch are skipped.

    The order is that of the random numbers of the device, wherever the pixels lie.
    """

    def __init__(self, images: Images, batch: int, rng: Generator) -> None:
        self._images, self._batch, self._rng = images, batch, rng
        self._order = torch.empty(0, dtype=torch.int64, device=rng.device)
        self._next = 0
        self._stream = None if images.pixels.device.type == rng.device.type else Stream(images.pixels, rng.device)

    def next(self) -> tuple[Tensor, Tensor | None]:
        """Returns real images, float32 (batch, C, H, W) in [-1, 1], and their labels (batch,)."""
        if self._next + self._batch > len(self._order):
            self._order = torch.randperm(len(self._images), generator=self._rng, device=self._rng.device)
            self._next = 0
        chosen = self._order[self._next : self._next + self._batch]
        if self._stream is None:
            found = self._images.pixels[chosen]
        else:
            found = self._stream.take(self._order, self._next, self._batch)
        self._next += self._batch
        pixels = to_float(found).contiguous(memory_format=torch.channels_last)
        return pixels, None if self._images.labels is None else self._images.labels[chosen]

    def labels(self, rng: Generator, count: int) -> Tensor | None:
        """Draws the labels (count,) of random images with `rng`, so that classes are as frequent as in the data."""
        labels = self._images.labels
        if labels is None:
            return None
        return labels[torch.randint(len(labels), (count,), generator=rng, device=rng.device).to(labels.device)]

    def state_dict(self) -> dict[str, Any]:
        return {"order": self._order, "next": self._next}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the order; raises UserError where it is of another number of images."""
        if len(state["order"]) not in (0, len(self._images)):
            counts = f"{len(self._images)} images, and had {len(state['order'])}"
            raise UserError(f"the data set has {counts} when the trial began: bring back the data of then")
        self._order = state["order"].to(self._rng.device)
        self._next = state["next"]
