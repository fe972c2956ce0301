"""Experience replay: D sees earlier generated images again, so that it does not forget them.

A part of the fake batch comes from a bounded buffer of earlier fakes (Shrivastava et al. 2017, section 2.3).
"""

from typing import Any

import torch
from torch import Generator, Tensor

from gansearch.config import ReplayConfig


class Replay:
    """A buffer of fakes of earlier D steps, float16 (capacity, C, H, W), with labels; empty if `every` is 0."""

    def __init__(self, config: ReplayConfig, rng: Generator) -> None:
        self._config, self._rng = config, rng
        self._images: Tensor | None = None
        self._labels: Tensor | None = None
        self._filled = self._steps = 0

    def mix(self, fake: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Returns the fakes (N, C, H, W) and labels (N,) for a D step and stores the given ones in the buffer.

        At every `every`-th step the share `fraction` of the result are earlier fakes; at other steps the given batch
        comes back. A full buffer replaces random fakes.
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
            # All places differ: which of two writes to one place wins is undefined, and may differ for the labels.
            old = torch.randperm(self._filled, generator=self._rng, device=self._rng.device)[: count - new]
            places = torch.cat([places, old])
        self._images[places] = fake[:count].to(torch.float16)
        if labels is not None and self._labels is not None:
            self._labels[places] = labels[:count]
        self._filled += new

    def state_dict(self) -> dict[str, Any]:
        images, labels = (
            None if stored is None else stored[: self._filled].clone() for stored in (self._images, self._labels)
        )
        return {"images": images, "labels": labels, "steps": self._steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._steps, self._filled, self._images = state["steps"], 0, None
        if state["images"] is not None:
            device, labels = self._rng.device, state["labels"]
            self._put(state["images"].to(device), None if labels is None else labels.to(device))
