"""Every registered data set holds its contract, so does one without labels and splits, and broken ones are caught."""

import dataclasses
import re
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.datasets import CIFAR10

from gansearch import registry
from gansearch.config import DataConfig, TrialConfig
from gansearch.contracts.base import Property, properties, verdicts
from gansearch.data.base import Dataset, Images, NoSplit, Split
from gansearch.errors import UserError
from gansearch.registry import component
from tests.contracts.holding import hold
from tests.data.archives import apply, write_cifar10, write_fashion_mnist

SIZE = 24


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that suits every data set with a `dir`: images by split and class, and the files of others beside."""
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for number in range(12):
        path = root / ("train" if number < 8 else "test") / f"class{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)).save(path)
    resources, unpacked = write_fashion_mnist(root)
    settings = {"CIFAR10": write_cifar10(root), "FashionMNIST": resources, "fashion_mnist": {"UNPACKED_MD5": unpacked}}
    with tarfile.open(root / CIFAR10.filename) as archive, pytest.MonkeyPatch.context() as patch:
        archive.extractall(root, filter="data")
        apply(settings, patch)
        yield root


@pytest.mark.parametrize("name", sorted(registry.classes("data")))
@pytest.mark.parametrize("each", properties("data"), ids=lambda each: each.check.__name__)
def test_a_data_set_holds_its_contract(each: Property, name: str, folder: Path) -> None:
    names = {field.name for field in dataclasses.fields(registry.classes("data")[name])}
    options = {"dir": str(folder)} if "dir" in names else {}
    hold(each, registry.build("data", DataConfig.model_validate({"name": name, "resolution": SIZE, **options})))


@component
class Stripes(Dataset):
    """Grey stripes, without labels, in one split, and in one resolution."""

    def load(self, split: Split) -> Images:
        if split == "test":
            raise NoSplit("there are no test images")
        if self.resolution != 32:
            raise UserError("data.resolution: set 32")
        rows = torch.arange(20).view(-1, 1, 1, 1) + torch.arange(32).view(1, 1, -1, 1)
        return Images((rows % 8 * 32).expand(-1, 1, -1, 32).to(torch.uint8).contiguous())


@pytest.mark.parametrize("each", properties("data"), ids=lambda each: each.check.__name__)
def test_a_data_set_without_labels_and_splits_will_do(each: Property) -> None:
    hold(each, Stripes())


def broken(load: Callable[[Dataset, Split], Images]) -> Dataset:
    return component(type("Broken", (Dataset,), {"load": load}))()


def noise(count: int = 8, size: int = 32, seed: int = 0) -> Tensor:
    return torch.randint(
        0, 256, (count, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )


def two_splits(split: Split) -> Tensor:
    return noise(seed=int(split == "test"))


SHARED = noise()
BROKEN: list[tuple[str, Callable[[Dataset, Split], Images], str]] = [
    (
        "floats",
        lambda self, split: Images(two_splits(split).float()),
        r"square, uint8.*: the train images are torch\.float",
    ),
    (
        "of one size",
        lambda self, split: Images(noise(size=16)),
        r"square, uint8.*shape \(8, 3, 16, 16\), not .*32, 32\)",
    ),
    (
        "of one image",
        lambda self, split: Images(torch.zeros_like(noise())),
        r"square, .*: all train images are the same",
    ),
    ("channels last", lambda self, split: Images(noise().permute(0, 1, 3, 2)), r"square.*: .*are not contiguous"),
    ("both splits the same", lambda self, split: Images(noise()), r"The two splits.*: both splits are the same images"),
    (
        "labels beyond the classes",
        lambda self, split: Images(two_splits(split), torch.arange(8), ("a", "b")),
        r"Labels number the classes.*: the train labels are not all in 0 to 1: `classes` has 2 names",
    ),
    (
        "labels as floats",
        lambda self, split: Images(two_splits(split), torch.zeros(8), ("a",)),
        r"Labels number the classes.*: the train labels are torch\.float32, not int64",
    ),
    (
        "another order each time",
        lambda self, split: Images(two_splits(split)[torch.randperm(8)]),
        r"Loading twice.*: it draws from torch's global generator",
    ),
    (
        "one memory for all",
        lambda self, split: Images(SHARED),
        r"Writing into .*: two calls of `load` share the memory",
    ),
    (
        "a fingerprint of its own",
        lambda self, split: Images(two_splits(split), known_fingerprint=split),
        r"The fingerprint .*: the fingerprint that it gives is not that of these images",
    ),
]


@pytest.mark.parametrize(("load", "reason"), [pytest.param(*rest, id=name) for name, *rest in BROKEN])
def test_a_broken_data_set_is_caught_in_one_line(load: Callable[[Dataset, Split], Images], reason: str) -> None:
    faults = [f"{verdict.sentence}: {verdict.reason}" for verdict in verdicts("data", broken(load)) if not verdict.ok]
    assert len("\n".join(faults).splitlines()) == len(faults)
    assert any(re.search(reason, fault) for fault in faults), faults


@pytest.mark.parametrize("name", sorted(registry.classes("data")))
def test_a_resolution_too_small_and_an_unknown_option_are_refused(name: str) -> None:
    with pytest.raises(UserError, match=r"data\.resolution=4"):
        TrialConfig().override({"data.name": name, "data.resolution": 4})
    with pytest.raises(UserError, match=r"data\.resolutoin.*did you mean data\.resolution"):
        registry.build("data", DataConfig.model_validate({"name": name, "resolutoin": 32}))
