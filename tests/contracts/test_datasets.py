"""What every registered data set must do; a new one is picked up by itself."""

import dataclasses
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import CIFAR10

from gansearch import registry
from gansearch.config import DataConfig
from gansearch.data.base import Dataset, Images
from gansearch.errors import UserError
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


@pytest.fixture(params=sorted(registry.classes("data")))
def dataset(request: pytest.FixtureRequest, folder: Path) -> Dataset:
    names = {field.name for field in dataclasses.fields(registry.classes("data")[request.param])}
    options = {"dir": str(folder)} if "dir" in names else {}
    return registry.build("data", DataConfig.model_validate({"name": request.param, "resolution": SIZE, **options}))


@pytest.mark.parametrize("split", ["train", "test"])
def test_images_are_square_bytes_with_fitting_labels(dataset: Dataset, split: str) -> None:
    images = dataset.load(split)  # type: ignore[arg-type]
    assert len(images) > 0
    assert images.pixels.dtype == torch.uint8 and images.pixels.is_contiguous()
    assert images.pixels.shape[1] in {1, 3} and images.pixels.shape[2:] == (SIZE, SIZE)
    assert images.pixels.float().std() > 1
    assert images.labels is not None
    assert images.labels.dtype == torch.int64 and images.labels.shape == (len(images),)
    assert images.labels.min() >= 0 and images.labels.max() < len(images.classes)
    assert len(images.counts) == len(images.classes) and sum(images.counts) == len(images)


def test_loading_twice_gives_the_same_bytes_and_splits_differ(dataset: Dataset) -> None:
    first, again, test = dataset.load("train"), dataset.load("train"), dataset.load("test")
    assert first.fingerprint == again.fingerprint != test.fingerprint
    assert first.classes == test.classes


def test_a_fingerprint_is_that_of_the_bytes_wherever_it_comes_from(dataset: Dataset) -> None:
    for images in (dataset.load("train"), dataset.load("train")):
        assert images.fingerprint == Images(images.pixels.clone(), images.labels).fingerprint


def test_writing_into_the_pixels_changes_nobody_elses(dataset: Dataset) -> None:
    mine, other = dataset.load("train"), dataset.load("train")
    before = other.pixels.clone()
    mine.pixels.bitwise_not_()
    assert torch.equal(other.pixels, before) and torch.equal(dataset.load("train").pixels, before)


def test_options_survive_a_rebuild(dataset: Dataset) -> None:
    assert type(dataset)(**dataclasses.asdict(dataset)) == dataset  # type: ignore[call-overload]


@pytest.mark.parametrize("name", sorted(registry.classes("data")))
def test_a_resolution_too_small_and_an_unknown_option_are_refused(name: str) -> None:
    with pytest.raises(UserError, match=r"data\.resolution=4"):
        registry.build("data", DataConfig(name=name, resolution=4))
    with pytest.raises(UserError, match=r"data\.resolutoin.*did you mean data\.resolution"):
        registry.build("data", DataConfig.model_validate({"name": name, "resolutoin": 32}))
