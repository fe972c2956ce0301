"""Experience replay: D is shown earlier generated images again, lest it forget what it once told apart.

After Shrivastava et al. 2017 (section 2.3): part of the fake batch comes from a bounded buffer of earlier fakes.
"""

from typing import Any

import torch
from torch import Generator, Tensor

from gansearch.config import ReplayConfig


class Replay:
    """Fakes of earlier D steps, float16 (capacity, C, H, W) on the device; with `every` 0 it holds nothing."""

    def __init__(self, config: ReplayConfig, rng: Generator) -> None:
        self._config, self._rng = config, rng
        self._images: Tensor | None = None
        self._filled = self._steps = 0

    def mix(self, fake: Tensor) -> Tensor:
        """The fake batch for this D step: as it came, or on every `every`-th step part of it earlier fakes.

        Every batch is then put into the buffer, in place of random ones where it is full.
        """
        if not self._config.every:
            return fake
        self._steps += 1
        mixed = fake
        if self._filled and self._steps % self._config.every == 0:
            count = max(1, round(self._config.fraction * len(fake)))
            mixed = torch.cat([self._draw(count, fake.dtype), fake[count:]])
        self._put(fake)
        return mixed

    def _draw(self, count: int, dtype: torch.dtype) -> Tensor:
        assert self._images is not None
        return self._images[self._random(count, self._filled)].to(dtype)

    def _put(self, fake: Tensor) -> None:
        capacity = self._config.capacity
        if self._images is None:
            self._images = torch.empty(capacity, *fake.shape[1:], dtype=torch.float16, device=fake.device)
        fake = fake[:capacity].to(torch.float16)
        new = min(len(fake), capacity - self._filled)
        self._images[self._filled : self._filled + new] = fake[:new]
        if new < len(fake):
            self._images[self._random(len(fake) - new, capacity)] = fake[new:]
        self._filled += new

    def _random(self, count: int, high: int) -> Tensor:
        return torch.randint(high, (count,), generator=self._rng, device=self._rng.device)

    def state_dict(self) -> dict[str, Any]:
        kept = None if self._images is None else self._images[: self._filled].clone()
        return {"images": kept, "steps": self._steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._steps, self._filled, self._images = state["steps"], 0, None
        if state["images"] is not None:
            self._put(state["images"].to(self._rng.device))
