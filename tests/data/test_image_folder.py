"""Image folders as people have them: flat, by class, by split, and broken in the usual ways."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gansearch import registry
from gansearch.config import DataConfig
from gansearch.data.base import Images, NoSplit, Split
from gansearch.data.image_folder import ImageFolder, _uniform
from gansearch.errors import UserError


def put(path: Path, value: int = 128, size: tuple[int, int] = (16, 16), mode: str = "RGB") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode == "L" else (value,) * 3).save(path)
    return path


def load(folder: Path, split: Split = "train", **options: Any) -> Images:
    return ImageFolder(dir=str(folder), resolution=16, **options).load(split)


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


def test_missing_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere: there is no such folder.*--data-dir"):
        load(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"holds no images"):
        load(tmp_path)
    put(tmp_path / "a.png")
    with pytest.raises(NoSplit, match=r"no test images.*data\.test_share=0\.1, or use split train"):
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
    with pytest.raises(UserError, match=r"07\.jpg is not a usable image \(.*truncated.*--set data\.skip_broken=true"):
        load(tmp_path)
    (tmp_path / "07.jpg").write_text("a text")
    with pytest.raises(UserError, match=r"07\.jpg is not a usable image \(none of JPEG, PNG"):
        load(tmp_path)


def test_images_beside_class_folders_are_refused(tmp_path: Path) -> None:
    put(tmp_path / "cat" / "a.png")
    put(tmp_path / "stray.png")
    with pytest.raises(UserError, match=r"stray\.png lies beside folders"):
        load(tmp_path)


def test_a_flat_split_beside_one_with_classes_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "train" / "cat" / "a.png")
    put(tmp_path / "test" / "b.png")
    with pytest.raises(UserError, match=r"test/b\.png lies beside folders"):
        load(tmp_path)


def test_broken_files_are_skipped_only_on_request_and_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("cat/1", "cat/2", "dog/3", "dog/4"):
        put(tmp_path / f"{name}.png", int(name[-1]))
    for name in ("cat/0.txt", "dog/Thumbs.db", "dog/5.png", "dog/6.png"):
        (tmp_path / name).write_text("no image")
    with pytest.raises(UserError, match=r"cat/0\.txt is not a usable image \(none of JPEG.*skip_broken=true"):
        load(tmp_path)
    images = load(tmp_path, skip_broken=True)
    assert images.pixels[:, 0, 0, 0].tolist() == [1, 2, 3, 4]
    assert images.labels is not None and images.labels.tolist() == [0, 0, 1, 1]
    load(tmp_path, skip_broken=True)
    [warning] = caplog.messages
    assert "4 unusable files are skipped: cat/0.txt (none of JPEG" in warning
    assert "dog/6.png" in warning and "Thumbs.db" not in warning and warning.endswith("...")


def test_where_all_files_are_broken_nothing_is_left(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.jpg").write_text("no image")
    with pytest.raises(UserError, match=r"holds no usable image: .*a\.jpg and all others"):
        load(tmp_path, skip_broken=True)


def test_a_link_that_leads_nowhere_is_named_and_one_that_leads_back_refused(tmp_path: Path) -> None:
    put(tmp_path / "cat" / "a.png", 1)
    (tmp_path / "cat" / "b.png").symlink_to("nowhere")
    with pytest.raises(UserError, match=r"b\.png is not a usable image \(.*No such file"):
        load(tmp_path)
    (tmp_path / "cat" / "b.png").unlink()
    (tmp_path / "dog").symlink_to(tmp_path / "cat")
    assert load(tmp_path).counts == (1, 1)
    (tmp_path / "cat" / "up").symlink_to(tmp_path)
    with pytest.raises(UserError, match=r"cat/up is a link to a folder that leads to it again"):
        load(tmp_path)


def test_names_that_are_no_text_are_taken_as_they_are(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(tmp_path / "a.png", 1).rename(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png"))
    assert load(tmp_path).pixels[0, 0, 0, 0] == 1
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xfe.png")).write_text("no image")
    assert len(load(tmp_path, skip_broken=True)) == 1
    assert r"\udcfe.png" in caplog.text, "any log file can hold the message"


def test_a_share_is_held_out_and_the_rest_is_for_training(tmp_path: Path) -> None:
    for number in range(60):
        put(tmp_path / f"class{number % 2}" / f"{number}.png", number)
    train, test = load(tmp_path, test_share=0.25), load(tmp_path, "test", test_share=0.25)
    values = [images.pixels[:, 0, 0, 0].tolist() for images in (train, test)]
    assert sorted(values[0] + values[1]) == list(range(60))
    assert all(0 < count < 15 for count in test.counts) and train.classes == test.classes
    for images, some in zip((train, test), values, strict=True):
        assert images.labels is not None and images.labels.tolist() == [value % 2 for value in some]


def test_a_share_beside_a_test_folder_or_without_an_image_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "train" / "a.png")
    put(tmp_path / "test" / "b.png")
    with pytest.raises(UserError, match=r"test_share=0\.5, but .* has its own folder `test`"):
        load(tmp_path, test_share=0.5)
    with pytest.raises(NoSplit, match=r"no test images with data\.test_share=1e-09"):
        load(tmp_path / "train", "test", test_share=1e-9)
    (tmp_path / "test" / "b.png").unlink()
    with pytest.raises(NoSplit, match=r"test holds no images"):
        load(tmp_path, "test")
    with pytest.raises(UserError, match=r"data\.test_share=1.*less than 1"):
        registry.build("data", DataConfig.model_validate({"name": "image_folder", "dir": "d", "test_share": 1}))


def _held_out(folder: Path, names: set[str], share: float) -> set[str]:
    """The names that are in the test split of a folder of (empty) files; the others must be in the training split."""
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).touch()
    _, files = ImageFolder(dir=str(folder), test_share=share)._splits(folder)
    train, test = ({file.name for file in files[split]} for split in ("train", "test"))
    assert train | test == names and not train & test
    return test


@settings(max_examples=25)
@given(
    names=st.sets(st.text("abc019", min_size=1, max_size=6), min_size=1, max_size=30),
    more=st.sets(st.text("abc019", min_size=1, max_size=6), max_size=30),
    share=st.floats(0, 0.99),
)
def test_more_files_and_a_larger_share_move_no_image_out_of_the_test_split(
    tmp_path_factory: pytest.TempPathFactory, names: set[str], more: set[str], share: float
) -> None:
    folder = tmp_path_factory.mktemp("folder")
    few = _held_out(folder, names, share)
    many = _held_out(folder, names | more, share)
    assert many & names == few
    assert many <= _held_out(folder, names | more, min(0.99, share + 0.1))


def test_the_share_is_met() -> None:
    held_out = sum(_uniform(f"{number}.png") < 0.2 for number in range(10_000))
    assert abs(held_out - 2000) < 200  # five standard deviations
