"""Image folders as people have them: flat, by class, by split, and broken in the usual ways."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gansearch import registry
from gansearch.config import DataConfig
from gansearch.data.image_folder import ImageFolder
from gansearch.errors import UserError


def put(path: Path, value: int = 128, size: tuple[int, int] = (16, 16), mode: str = "RGB") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode == "L" else (value,) * 3).save(path)
    return path


def load(folder: Path, split: str = "train", resolution: int = 16) -> object:
    return ImageFolder(dir=str(folder), resolution=resolution).load(split)  # type: ignore[arg-type]


def test_a_flat_folder_is_read_in_the_order_of_names(tmp_path: Path) -> None:
    for value in (30, 10, 20):
        put(tmp_path / f"{value}.png", value)
    (tmp_path / ".DS_Store").write_bytes(b"not an image")
    images = ImageFolder(dir=str(tmp_path), resolution=16).load("train")
    assert images.pixels[:, 0, 0, 0].tolist() == [10, 20, 30]
    assert images.pixels.shape == (3, 3, 16, 16) and images.labels is None and images.classes == ()


def test_folders_are_classes_at_any_depth(tmp_path: Path) -> None:
    put(tmp_path / "dog" / "a.png", 1)
    put(tmp_path / "cat" / "deep" / "er" / "b.png", 2, mode="L")
    (tmp_path / "empty").mkdir()
    images = ImageFolder(dir=str(tmp_path), resolution=16).load("train")
    assert images.classes == ("cat", "dog")
    assert images.labels is not None and images.labels.tolist() == [0, 1]
    assert images.pixels[:, :, 0, 0].tolist() == [[2, 2, 2], [1, 1, 1]]


def test_train_and_test_folders_are_splits_with_the_same_labels(tmp_path: Path) -> None:
    put(tmp_path / "train" / "cat" / "a.png", 1)
    put(tmp_path / "train" / "dog" / "b.png", 2)
    put(tmp_path / "test" / "dog" / "c.png", 3)
    dataset = ImageFolder(dir=str(tmp_path), resolution=16)
    train, test = dataset.load("train"), dataset.load("test")
    assert train.labels is not None and test.labels is not None
    assert train.classes == test.classes == ("cat", "dog")
    assert (train.labels.tolist(), test.labels.tolist()) == ([0, 1], [1])


def test_the_centre_is_cropped_and_the_rest_resized(tmp_path: Path) -> None:
    wide = np.zeros((32, 96, 3), dtype=np.uint8)
    wide[:, 32:64] = 200
    Image.fromarray(wide).save(tmp_path / "wide.png")
    images = ImageFolder(dir=str(tmp_path), resolution=8).load("train")
    assert torch.equal(images.pixels, torch.full((1, 3, 8, 8), 200, dtype=torch.uint8))


def test_a_photograph_is_turned_as_its_camera_says(tmp_path: Path) -> None:
    pixels = np.zeros((16, 16, 3), dtype=np.uint8)
    pixels[:8] = 255
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(pixels).save(tmp_path / "photo.png", exif=exif)
    top, bottom = ImageFolder(dir=str(tmp_path), resolution=16).load("train").pixels[0, 0].split(8)
    assert top.amax() == 0 and bottom.amin() == 255


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere: there is no such folder.*--data-dir"):
        load(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"holds no images"):
        load(tmp_path)
    put(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"no test images.*use split train"):
        load(tmp_path, "test")
    with pytest.raises(UserError, match=r"data\.dir is missing"):
        registry.build("data", DataConfig(name="image_folder"))


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    for number in range(20):
        put(tmp_path / f"{number:02}.png")
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "07.jpg")
    whole = (tmp_path / "07.jpg").read_bytes()
    (tmp_path / "07.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"07\.jpg is no usable image \(.*truncated"):
        load(tmp_path)
    (tmp_path / "07.jpg").write_text("a text")
    with pytest.raises(UserError, match=r"07\.jpg is no usable image \(none of JPEG, PNG"):
        load(tmp_path)


def test_sixteen_bits_are_refused_and_not_clipped(tmp_path: Path) -> None:
    Image.fromarray(np.full((16, 16), 4000, dtype=np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(UserError, match=r"deep\.png .*not of 8 bits"):
        load(tmp_path)


def test_images_beside_class_folders_are_refused(tmp_path: Path) -> None:
    put(tmp_path / "cat" / "a.png")
    put(tmp_path / "stray.png")
    with pytest.raises(UserError, match=r"stray\.png lies beside folders"):
        load(tmp_path)
