"""Experience replay: D is shown earlier generated images again, lest it forget what it once told apart.

After Shrivastava et al. 2017 (section 2.3): part of the fake batch comes from a bounded buffer of earlier fakes.
"""

from typing import Any

import torch
from torch import Generator, Tensor

from gansearch.config import ReplayConfig


class Replay:
    """Fakes of earlier D steps, float16 (capacity, C, H, W), and their labels; with `every` 0 it holds nothing."""

    def __init__(self, config: ReplayConfig, rng: Generator) -> None:
        self._config, self._rng = config, rng
        self._images: Tensor | None = None
        self._labels: Tensor | None = None
        self._filled = self._steps = 0

    def mix(self, fake: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Fakes and labels for this D step: as they came, or on every `every`-th step part of them earlier ones.

        Every batch is then put into the buffer, in place of random ones where it is full.
        """
        if not self._config.every:
            return fake, labels
        self._steps += 1
        mixed = fake, labels
        if self._filled and self._steps % self._config.every == 0:
            assert self._images is not None
            count = max(1, round(self._config.fraction * len(fake)))
            chosen = torch.randint(self._filled, (count,), generator=self._rng, device=self._rng.device)
            mixed = (
                torch.cat([self._images[chosen].to(fake.dtype), fake[count:]]),
                None if labels is None or self._labels is None else torch.cat([self._labels[chosen], labels[count:]]),
            )
        self._put(fake, labels)
        return mixed

    def _put(self, fake: Tensor, labels: Tensor | None) -> None:
        capacity = self._config.capacity
        if self._images is None:
            self._images = torch.empty(capacity, *fake.shape[1:], dtype=torch.float16, device=fake.device)
            self._labels = None if labels is None else labels.new_empty(capacity)
        count = min(len(fake), capacity)
        new = min(count, capacity - self._filled)
        places = torch.arange(self._filled, self._filled + new, device=fake.device)
        if new < count:
            # No place twice: which of two writes wins is not defined, nor the same for image and label.
            old = torch.randperm(self._filled, generator=self._rng, device=self._rng.device)[: count - new]
            places = torch.cat([places, old])
        self._images[places] = fake[:count].to(torch.float16)
        if labels is not None and self._labels is not None:
            self._labels[places] = labels[:count]
        self._filled += new

    def state_dict(self) -> dict[str, Any]:
        images, labels = (
            None if kept is None else kept[: self._filled].clone() for kept in (self._images, self._labels)
        )
        return {"images": images, "labels": labels, "steps": self._steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._steps, self._filled, self._images = state["steps"], 0, None
        if state["images"] is not None:
            device, labels = self._rng.device, state["labels"]
            self._put(state["images"].to(device), None if labels is None else labels.to(device))
