"""CIFAR-10 (Krizhevsky 2009) through torchvision: 60,000 colour images of 32 x 32, ten classes."""

import http.client
import sys
import tarfile
from contextlib import redirect_stdout
from pathlib import Path

import torch
from filelock import FileLock
from torchvision.datasets import CIFAR10

from gansearch.cache import cache_dir
from gansearch.data.base import Dataset, Images, Split, resize
from gansearch.errors import UserError, one_line
from gansearch.registry import component


@component
class Cifar10(Dataset):
    """Train 50,000, test 10,000. Lies in `dir` (default: `data` in the cache); downloaded there once if it is not."""

    dir: str | None = None

    def load(self, split: Split) -> Images:
        root = Path(self.dir).expanduser() if self.dir else cache_dir() / "data"
        data = _open(root, split) or _download(root, split)
        pixels = torch.from_numpy(data.data).permute(0, 3, 1, 2).contiguous()
        return Images(resize(pixels, self.resolution), torch.tensor(data.targets), tuple(data.classes))


def _open(root: Path, split: Split) -> CIFAR10 | None:
    """The data set as it lies in `root`; None where it is not whole there. Needs no right to write."""
    try:
        return CIFAR10(root, train=split == "train")
    except RuntimeError:
        return None


def _download(root: Path, split: Split) -> CIFAR10:
    """Fetches and unpacks the archive, or unpacks one that lies there; MD5 is checked. One process at a time."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / ".cifar10.lock"), redirect_stdout(sys.stderr):
            return CIFAR10(root, train=split == "train", download=True)
    except (OSError, RuntimeError, EOFError, tarfile.TarError, http.client.HTTPException) as error:
        raise UserError(
            f"cifar10 is not in {root} and cannot be downloaded from {CIFAR10.url} ({one_line(error)}); without a "
            f"network, put {CIFAR10.filename} into {root}, or name its folder with --data-dir DIR"
        ) from error
