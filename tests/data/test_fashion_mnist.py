"""Fashion-MNIST's own: where it is looked for, in which order, and that what lies there is whole."""

from pathlib import Path

import numpy as np
import pytest

from gansearch.data import fashion_mnist
from gansearch.data.base import Images, Split
from gansearch.data.fashion_mnist import DEBIAN, UNPACKED_MD5, FashionMnist
from tests.data.archives import Served, fashion_mnist_arrays, write_fashion_mnist


def load(folder: Path, split: Split = "train") -> Images:
    return FashionMnist(dir=str(folder), resolution=28).load(split)


def is_right(images: Images, prefix: str = "train") -> bool:
    pixels, labels = fashion_mnist_arrays(prefix)
    assert images.labels is not None
    return np.array_equal(images.pixels[:, 0].numpy(), pixels) and np.array_equal(images.labels.numpy(), labels)


def test_downloaded_images_and_labels_are_those_of_the_files(served: Served, tmp_path: Path) -> None:
    assert is_right(load(tmp_path / "data")) and is_right(load(tmp_path / "data", "test"), "t10k")
    assert load(tmp_path / "data").classes[9] == "Ankle boot"


def test_four_files_in_the_folder_need_no_network_and_no_right_to_write(served: Served, tmp_path: Path) -> None:
    write_fashion_mnist(tmp_path / "flat")
    before = sorted(tmp_path.rglob("*"))
    assert is_right(load(tmp_path / "flat")) and is_right(load(tmp_path / "flat", "test"), "t10k")
    assert served.asked == [] and sorted(tmp_path.rglob("*")) == before


def test_debians_package_is_used_before_a_download(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_fashion_mnist(tmp_path / "debian")
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "debian")
    assert is_right(load(tmp_path / "data")) and is_right(load(tmp_path / "data", "test"), "t10k")
    assert served.asked == [] and not (tmp_path / "data").exists()


def test_the_folder_is_used_before_debians_package_and_a_damaged_package_not_at_all(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write_fashion_mnist(tmp_path / "debian")
    labels = tmp_path / "debian" / "train-labels-idx1-ubyte.gz"
    labels.write_bytes((tmp_path / "debian" / "t10k-labels-idx1-ubyte.gz").read_bytes())
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "debian")
    write_fashion_mnist(tmp_path / "flat")
    assert is_right(load(tmp_path / "flat")) and served.asked == []
    assert caplog.messages == []
    assert is_right(load(tmp_path / "data")) and served.asked != []
    assert "train-labels-idx1-ubyte.gz is not the published file" in caplog.text


def test_a_file_cut_while_it_was_unpacked_is_unpacked_again(served: Served, tmp_path: Path) -> None:
    load(tmp_path)
    images = tmp_path / "FashionMNIST" / "raw" / "train-images-idx3-ubyte"
    images.write_bytes(images.read_bytes()[:-5000])
    served.asked.clear()
    assert is_right(load(tmp_path))
    assert served.asked == []


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="Debian's package dataset-fashion-mnist is not installed")
def test_debians_real_package(tmp_path: Path) -> None:
    train, test = load(tmp_path), load(tmp_path, "test")
    assert train.counts == (6000,) * 10 and test.counts == (1000,) * 10
    assert list(tmp_path.iterdir()) == [] and len(UNPACKED_MD5) == 4
