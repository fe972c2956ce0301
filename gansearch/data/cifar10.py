"""CIFAR-10 (Krizhevsky 2009) through torchvision: 60,000 colour images of 32 x 32, ten classes."""

import torch

from gansearch.data.base import Dataset, Images, Split, require_images, resize
from gansearch.data.torchvision_archive import data_folder, open_or_download
from gansearch.registry import component

_COUNTS: dict[Split, int] = {"train": 50_000, "test": 10_000}


@component
class Cifar10(Dataset):
    """CIFAR-10: 50,000 training and 10,000 test images.

    Args:
        dir: The folder of the files, which are downloaded once if they are missing; null: `data` in the cache.
    """

    known_shape = (3, 10)
    dir: str | None = None

    def load(self, split: Split) -> Images:
        require_images(_COUNTS[split], 3, self.resolution)  # before they are downloaded
        from torchvision.datasets import CIFAR10  # takes seconds, and who only checks a configuration loads no images

        data = open_or_download(
            CIFAR10,
            data_folder(self.dir),
            split,
            name="cifar10",
            url=CIFAR10.url,
            files=[CIFAR10.filename],
        )
        pixels = torch.from_numpy(data.data).permute(0, 3, 1, 2).contiguous()
        return Images(resize(pixels, self.resolution), torch.tensor(data.targets), tuple(data.classes))
