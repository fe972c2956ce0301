"""Fashion-MNIST (Xiao et al. 2017): 70,000 grey images of clothes, 28 x 28, ten classes."""

import gzip
import hashlib
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torchvision.datasets import FashionMNIST
from torchvision.datasets.utils import check_integrity

from gansearch.data.base import Dataset, Images, Split, resize
from gansearch.data.torchvision_archive import downloaded, opened, root_of
from gansearch.errors import one_line
from gansearch.logs import warn_once
from gansearch.registry import component

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package `dataset-fashion-mnist` puts the four files."""

UNPACKED_MD5 = {
    "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
    "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
    "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
}
"""Of the content: Debian packs the files anew, so that its `.gz` have other sums than the authors' own."""


@component
class FashionMnist(Dataset):
    """Train 60,000, test 10,000. Lies in `dir` (default: `data` in the cache) as torchvision unpacks it or as the four
    `.gz`; else Debian's package serves where it is installed; else it is downloaded to `dir` once."""

    dir: str | None = None

    def load(self, split: Split) -> Images:
        root = root_of(self.dir)
        found = _opened(root, split) or _packed(root, split) or _packed(DEBIAN, split) or _downloaded(root, split)
        pixels, labels = found
        return Images(resize(pixels.unsqueeze(1), self.resolution), labels.long(), tuple(FashionMNIST.classes))


class _Checked(FashionMNIST):
    """torchvision checks what it downloads, not what it unpacked: a file that was cut while unpacking would pass."""

    @property
    def raw_folder(self) -> str:
        return str(Path(self.root) / "FashionMNIST" / "raw")

    def _check_exists(self) -> bool:
        return all(check_integrity(Path(self.raw_folder) / name, md5) for name, md5 in UNPACKED_MD5.items())


def _opened(root: Path, split: Split) -> tuple[Tensor, Tensor] | None:
    data = opened(_Checked, root, split)
    return None if data is None else (data.data, data.targets)


def _downloaded(root: Path, split: Split) -> tuple[Tensor, Tensor]:
    url, files = FashionMNIST.mirrors[0], [name for name, _ in FashionMNIST.resources]
    data = downloaded(_Checked, root, split, name="fashion_mnist", url=url, files=files)
    return data.data, data.targets


def _packed(folder: Path, split: Split) -> tuple[Tensor, Tensor] | None:
    """Pixels uint8 (N, 28, 28) and labels uint8 (N,) from the `.gz` in `folder`; None where they are not there."""
    prefix = "train" if split == "train" else "t10k"
    try:
        return _read(folder, f"{prefix}-images-idx3-ubyte"), _read(folder, f"{prefix}-labels-idx1-ubyte")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, EOFError, ValueError, zlib.error) as error:
        warn_once(f"fashion_mnist in {folder} is not used: {one_line(error)}")
        return None


def _read(folder: Path, name: str) -> Tensor:
    """A tensor of an IDX file: two zero bytes, the type (8: uint8), the rank, the sizes as big-endian int32, data."""
    content = gzip.decompress((folder / f"{name}.gz").read_bytes())
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != UNPACKED_MD5[name]:
        raise ValueError(f"{name}.gz is not the published file")
    rank = content[3]
    shape = np.frombuffer(content, ">i4", rank, offset=4)
    return torch.from_numpy(np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape).copy())
