"""What every registered data set must do; a new one is picked up by itself."""

import dataclasses
import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import CIFAR10

from gansearch import registry
from gansearch.config import DataConfig
from gansearch.data.base import Dataset
from gansearch.errors import UserError

SIZE = 24


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that suits every data set with a `dir`: images by split and class, and CIFAR-10's files beside them."""
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for number in range(12):
        path = root / ("train" if number < 8 else "test") / f"class{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)).save(path)
    batches = root / CIFAR10.base_folder
    batches.mkdir()
    for name, _ in [*CIFAR10.train_list, *CIFAR10.test_list]:
        data = rng.integers(0, 256, (4, 3072), dtype=np.uint8)
        (batches / name).write_bytes(pickle.dumps({"data": data, "labels": [0, 1, 2, 3]}))
    (batches / CIFAR10.meta["filename"]).write_bytes(pickle.dumps({"label_names": list("abcdefghij")}))
    return root


@pytest.fixture(params=sorted(registry.classes("data")))
def dataset(request: pytest.FixtureRequest, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    def sum_of(name: str) -> str:
        return hashlib.md5((folder / CIFAR10.base_folder / name).read_bytes()).hexdigest()

    for part in ("train_list", "test_list"):
        monkeypatch.setattr(CIFAR10, part, [[name, sum_of(name)] for name, _ in getattr(CIFAR10, part)])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": sum_of(CIFAR10.meta["filename"])})
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


def test_loading_twice_gives_the_same_bytes_and_splits_differ(dataset: Dataset) -> None:
    first, again, test = dataset.load("train"), dataset.load("train"), dataset.load("test")
    assert first.fingerprint == again.fingerprint != test.fingerprint
    assert first.classes == test.classes


def test_options_survive_a_rebuild(dataset: Dataset) -> None:
    assert type(dataset)(**dataclasses.asdict(dataset)) == dataset  # type: ignore[call-overload]


@pytest.mark.parametrize("name", sorted(registry.classes("data")))
def test_a_resolution_too_small_and_an_unknown_option_are_refused(name: str) -> None:
    with pytest.raises(UserError, match=r"data\.resolution=4"):
        registry.build("data", DataConfig(name=name, resolution=4))
    with pytest.raises(UserError, match=r"data\.resolutoin.*did you mean data\.resolution"):
        registry.build("data", DataConfig.model_validate({"name": name, "resolutoin": 32}))
