"""Batches of real images: the whole data set lies on the device as uint8, a batch is an index operation."""

from functools import lru_cache
from typing import Any

import torch
from torch import Generator, Tensor

from gansearch.config import DataConfig
from gansearch.data.base import Images, to_float
from gansearch.data.loading import load_images


def device_images(section: DataConfig, device: torch.device) -> Images:
    """The training images on `device`; trials of one process share them. UserError as `Dataset.load` says."""
    return _on_device(section.model_dump_json(), device)


@lru_cache(maxsize=1)
def _on_device(section: str, device: torch.device) -> Images:
    images = load_images(DataConfig.model_validate_json(section), "train")
    labels = None if images.labels is None else images.labels.to(device)
    return Images(images.pixels.to(device), labels, images.classes)


class Batches:
    """Shuffled epochs of `images`, without end; the rest of an epoch that fills no batch is left out."""

    def __init__(self, images: Images, batch: int, rng: Generator) -> None:
        self._images, self._batch, self._rng = images, batch, rng
        self._order = torch.empty(0, dtype=torch.int64, device=rng.device)
        self._next = 0

    def next(self) -> tuple[Tensor, Tensor | None]:
        """Real images, float32 (batch, C, H, W) in [-1, 1], and their labels (batch,)."""
        if self._next + self._batch > len(self._order):
            self._order = torch.randperm(len(self._images), generator=self._rng, device=self._rng.device)
            self._next = 0
        chosen = self._order[self._next : self._next + self._batch]
        self._next += self._batch
        pixels = to_float(self._images.pixels[chosen]).contiguous(memory_format=torch.channels_last)
        return pixels, None if self._images.labels is None else self._images.labels[chosen]

    def labels(self, rng: Generator, count: int) -> Tensor | None:
        """Labels (count,) of random images, so that they are as frequent as in the data; drawn from `rng`."""
        labels = self._images.labels
        if labels is None:
            return None
        return labels[torch.randint(len(labels), (count,), generator=rng, device=rng.device).to(labels.device)]

    def state_dict(self) -> dict[str, Any]:
        return {"order": self._order, "next": self._next}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._order = state["order"].to(self._rng.device)
        self._next = state["next"]
