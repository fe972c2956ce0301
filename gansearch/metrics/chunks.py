"""Which images an FID is taken over: all of them at once, or chunks of one size, over which FIDs are averaged."""

import hashlib
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class Cut:
    """`count` pairs of chunks: each holds `real` images of the reference and `fake` others."""

    count: int
    real: int
    fake: int

    @classmethod
    def of(cls, num_real: int, num_fake: int, chunk: int | None) -> Self:
        """As many whole pairs of `chunk` images each as there are, which may be none; one pair of all for None."""
        if chunk is None:
            return cls(1, num_real, num_fake)
        return cls(min(num_real, num_fake) // chunk, chunk, chunk)


def estimator(chunk: int | None) -> str:
    """The name that a protocol gives to the way of taking an FID."""
    return "standard" if chunk is None else f"chunked-{chunk}"


def draw(images: int, seed: int, count: int, size: int) -> list[Tensor]:
    """`count` disjoint chunks of `size` of the indices below `images`, drawn by `seed`; each is ascending.

    By hashes, since a library's random numbers may change with its version, and then FIDs of one protocol with them.
    """
    if size == images:
        return [torch.arange(images)]  # all of them, whatever the order
    order = sorted(range(images), key=lambda index: hashlib.sha256(f"{seed} {index}".encode()).digest())
    return [torch.tensor(order[start : start + size]).sort().values for start in range(0, count * size, size)]
