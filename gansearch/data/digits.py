"""The handwritten digits that scikit-learn ships: 1,797 real images of 8 x 8, ten classes. Needs no network."""

import hashlib
import importlib.util
from pathlib import Path

import numpy as np
import torch

from gansearch.data.base import Dataset, Images, Split, resize
from gansearch.registry import component


@component
class Digits(Dataset):
    """Digits: 1,437 training and 360 test images, grey (Alpaydin & Kaynak 1998), for every library version."""

    known_shape = (1, 10)

    def load(self, split: Split) -> Images:
        table = _table()
        images, target = table[:, :-1].reshape(-1, 8, 8), table[:, -1]
        chosen = _split(target, split)
        # The values are 0 to 16; resizing rounds to bytes, so they are spread over the whole range of a byte first.
        pixels = np.round(images[chosen] * (255 / 16)).astype(np.uint8)
        return Images(
            pixels=resize(torch.from_numpy(pixels).unsqueeze(1), self.resolution),
            labels=torch.from_numpy(target[chosen]),
            classes=tuple(map(str, range(10))),
        )


def _table() -> np.ndarray:
    """Reads the file of scikit-learn's `load_digits`; to import scikit-learn would take each process two seconds.

    Returns:
        int64 (1797, 65): the 64 pixels of an image, 0 to 16, and its digit.
    """
    found = importlib.util.find_spec("sklearn")
    assert found is not None and found.submodule_search_locations, "scikit-learn is a dependency of this package"
    path = Path(found.submodule_search_locations[0], "datasets", "data", "digits.csv.gz")
    return np.loadtxt(path, dtype=np.int64, delimiter=",")


def _split(target: np.ndarray, split: Split) -> list[int]:
    """Returns the ascending indices of a split: in the order of a hash, every fifth image of a class is for testing."""
    order = sorted(range(len(target)), key=lambda i: (target[i], hashlib.sha256(str(i).encode()).digest()))
    test = set(order[::5])
    return [i for i in range(len(target)) if (i in test) == (split == "test")]
