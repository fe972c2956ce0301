"""CIFAR-10's own: its layout, and an archive that was put in place by hand."""

from pathlib import Path

import numpy as np
from torchvision.datasets import CIFAR10

from gansearch.data.cifar10 import Cifar10
from tests.data.archives import CIFAR10_PER_BATCH, Served, cifar10_batch


def test_pixels_labels_and_classes_are_those_of_the_archive(served: Served, tmp_path: Path) -> None:
    dataset = Cifar10(dir=str(tmp_path / "data"))
    train, test = dataset.load("train"), dataset.load("test")
    assert train.pixels.shape == (5 * CIFAR10_PER_BATCH, 3, 32, 32)
    assert test.pixels.shape == (CIFAR10_PER_BATCH, 3, 32, 32)
    assert train.labels is not None and len(train.labels) == 5 * CIFAR10_PER_BATCH
    assert train.classes == tuple(f"class{i}" for i in range(10))
    first = train.pixels[:CIFAR10_PER_BATCH].numpy().reshape(CIFAR10_PER_BATCH, -1)
    assert np.array_equal(first, cifar10_batch())


def test_an_archive_put_there_by_hand_needs_no_network(served: Served, tmp_path: Path) -> None:
    place = tmp_path / "data"
    place.mkdir()
    (served.folder / CIFAR10.filename).rename(place / CIFAR10.filename)
    assert len(Cifar10(dir=str(place)).load("train")) == 5 * CIFAR10_PER_BATCH
    assert served.asked == []
