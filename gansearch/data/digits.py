"""The handwritten digits that scikit-learn ships: 1,797 real images of 8 x 8, ten classes. Needs no network."""

import hashlib

import numpy as np
import torch

from gansearch.data.base import Dataset, Images, Split, resize
from gansearch.registry import component


@component
class Digits(Dataset):
    """Digits: 1,437 training and 360 test images, grey (Alpaydin & Kaynak 1998), for every library version."""

    known_shape = (1, 10)

    def load(self, split: Split) -> Images:
        from sklearn.datasets import load_digits  # takes seconds, and who only checks a configuration loads no images

        digits = load_digits()
        chosen = _split(digits.target, split)
        # The values are 0 to 16; resizing rounds to bytes, so they are spread over the whole range of a byte first.
        pixels = np.round(digits.images[chosen] * (255 / 16)).astype(np.uint8)
        return Images(
            pixels=resize(torch.from_numpy(pixels).unsqueeze(1), self.resolution),
            labels=torch.from_numpy(digits.target[chosen].astype(np.int64)),
            classes=tuple(map(str, range(10))),
        )


def _split(target: np.ndarray, split: Split) -> list[int]:
    """Returns the ascending indices of a split: in the order of a hash, every fifth image of a class is for testing."""
    order = sorted(range(len(target)), key=lambda i: (target[i], hashlib.sha256(str(i).encode()).digest()))
    test = set(order[::5])
    return [i for i in range(len(target)) if (i in test) == (split == "test")]
