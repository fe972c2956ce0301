"""Fashion-MNIST (Xiao et al. 2017): 70,000 grey images of clothes, 28 x 28, ten classes."""

import gzip
import hashlib
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gansearch.data.base import Dataset, Images, Split, require_images, resize
from gansearch.data.torchvision_archive import data_folder, open_or_download
from gansearch.errors import one_line
from gansearch.logs import warn_once
from gansearch.registry import component

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
"""The folder where Debian's package `dataset-fashion-mnist` puts the four files."""

UNPACKED_MD5 = {
    "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
    "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
    "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
}
"""MD5 of the unpacked files: Debian compresses them itself, so its `.gz` files differ from the authors' own."""

_COUNTS: dict[Split, int] = {"train": 60_000, "test": 10_000}


@component
class FashionMnist(Dataset):
    """Fashion-MNIST: 60,000 training and 10,000 test images.

    Where the files are missing, Debian's package is used if it is installed; else they are downloaded once.

    Args:
        dir: The folder of the files, as torchvision unpacks them or as the four `.gz` files; null: `data` in the cache.
    """

    known_shape = (1, 10)
    dir: str | None = None

    def load(self, split: Split) -> Images:
        require_images(_COUNTS[split], 1, self.resolution)  # before they are downloaded
        root, kind = data_folder(self.dir), _checked_class()
        data = open_or_download(
            kind,
            root,
            split,
            name="fashion_mnist",
            url=kind.mirrors[0],
            files=[name for name, _ in kind.resources],
            elsewhere=lambda: _read_packed(root, split) or _read_packed(DEBIAN, split),
        )
        return Images(resize(data.data.unsqueeze(1), self.resolution), data.targets.long(), tuple(kind.classes))


def _checked_class() -> Any:
    """Returns torchvision's class, which checks the unpacked files too.

    torchvision alone would take a file that was cut short while it was unpacked.
    """
    # Takes seconds, and who only checks a configuration loads no images.
    from torchvision.datasets import FashionMNIST
    from torchvision.datasets.utils import check_integrity

    class Checked(FashionMNIST):
        @property
        def raw_folder(self) -> str:  # torchvision would name it after this class
            return str(Path(self.root) / "FashionMNIST" / "raw")

        def _check_exists(self) -> bool:
            return all(check_integrity(Path(self.raw_folder) / name, md5) for name, md5 in UNPACKED_MD5.items())

    return Checked


class _Packed(NamedTuple):
    """Pixels uint8 (N, 28, 28) and labels uint8 (N,), under the names that torchvision gives them."""

    data: Tensor
    targets: Tensor


def _read_packed(folder: Path, split: Split) -> _Packed | None:
    """Reads a split from the `.gz` files in `folder`; returns None where they are missing or damaged."""
    prefix = "train" if split == "train" else "t10k"
    try:
        return _Packed(_read(folder, f"{prefix}-images-idx3-ubyte"), _read(folder, f"{prefix}-labels-idx1-ubyte"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, EOFError, ValueError, zlib.error) as error:
        warn_once(f"fashion_mnist in {folder} is not used: {one_line(error)}")
        return None


def _read(folder: Path, name: str) -> Tensor:
    """Reads an IDX file: two zero bytes, the type (8: uint8), the rank, the sizes as big-endian int32, the data."""
    content = gzip.decompress((folder / f"{name}.gz").read_bytes())
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != UNPACKED_MD5[name]:
        raise ValueError(f"{name}.gz is not the published file")
    rank = content[3]
    shape = np.frombuffer(content, ">i4", rank, offset=4)
    return torch.from_numpy(np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape).copy())
