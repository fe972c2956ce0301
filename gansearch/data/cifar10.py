"""CIFAR-10 (Krizhevsky 2009) through torchvision: 60,000 colour images of 32 x 32, ten classes."""

import torch
from torchvision.datasets import CIFAR10

from gansearch.data.base import Dataset, Images, Split, resize
from gansearch.data.torchvision_archive import downloaded, opened, root_of
from gansearch.registry import component


@component
class Cifar10(Dataset):
    """Train 50,000, test 10,000. Lies in `dir` (default: `data` in the cache); downloaded there once if it is not."""

    dir: str | None = None

    def load(self, split: Split) -> Images:
        root = root_of(self.dir)
        data = opened(CIFAR10, root, split)
        if data is None:
            data = downloaded(CIFAR10, root, split, name="cifar10", url=CIFAR10.url, files=[CIFAR10.filename])
        pixels = torch.from_numpy(data.data).permute(0, 3, 1, 2).contiguous()
        return Images(resize(pixels, self.resolution), torch.tensor(data.targets), tuple(data.classes))
