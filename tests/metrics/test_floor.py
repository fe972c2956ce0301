"""The floor: which FID it is, when there is none, and that it is measured once."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from gansearch.config import DataConfig, MetricsConfig, TrialConfig
from gansearch.data.loader import load_images
from gansearch.errors import UserError
from gansearch.metrics.extractors.base import loaded
from gansearch.metrics.extractors.digits_classifier import DigitsClassifier
from gansearch.metrics.fid import Moments, frechet_distance
from gansearch.metrics.floor import floor_of
from gansearch.metrics.reference import Reference, draw_chunks, reference_of
from gansearch.metrics.scorer import Scorer
from gansearch.run.protocol import Floor

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GANSEARCH_CACHE", str(tmp_path))
    return tmp_path / "reference"


def floor_under(data: DataConfig | None = None, **metrics: object) -> Floor | None:
    config = TrialConfig(data=data or DataConfig(), metrics=MetricsConfig.model_validate(metrics))
    return floor_of(config, reference_under(data, **metrics), CPU)


def reference_under(data: DataConfig | None = None, **metrics: object) -> Reference:
    section = MetricsConfig.model_validate(metrics)
    return reference_of(section, load_images(data or DataConfig(), section.split), CPU)


def fid(pixels: Tensor, **metrics: object) -> float:
    section = MetricsConfig.model_validate(metrics)
    return Scorer(section, CPU, reference_under(**metrics)).fid([pixels])


def folder_of_images(*folders: Path) -> None:
    """Writes the same 40 images of coloured noise into each folder."""
    noise = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    for folder in folders:
        folder.mkdir(parents=True)
        for number, pixels in enumerate(noise):
            Image.fromarray(pixels).save(folder / f"{number:02}.png")


def folder(root: Path) -> DataConfig:
    return DataConfig.model_validate({"name": "image_folder", "dir": str(root)})


def test_it_is_the_fid_of_the_other_split() -> None:
    expected = fid(load_images(DataConfig(), "test").pixels, num_fake=360)
    floor = floor_under(num_fake=360)
    assert floor == Floor(split="test", images=360, fid=floor.fid)
    assert floor.fid == pytest.approx(expected, rel=1e-9)
    assert 0 < expected < 0.5


def test_it_takes_as_many_images_as_are_generated_or_all_there_are() -> None:
    (chosen,) = draw_chunks(360, 0, 1, 100)
    floor = floor_under(num_fake=100)
    assert floor is not None and floor.images == 100
    assert floor.fid == pytest.approx(fid(load_images(DataConfig(), "test").pixels[chosen], num_fake=100), rel=1e-9)
    for num_fake in (360, 5000):
        floor = floor_under(num_fake=num_fake)
        assert floor is not None and floor.images == 360


def test_the_training_images_are_the_floor_of_the_test_images() -> None:
    floor = floor_under(split="test", num_fake=500)
    assert floor is not None and (floor.split, floor.images) == ("train", 500)


def test_equal_splits_have_a_floor_of_zero(tmp_path: Path) -> None:
    folder_of_images(tmp_path / "data" / "train", tmp_path / "data" / "test")
    for metrics in ({"num_fake": 50}, {"num_fake": 50, "chunk": 10}):
        floor = floor_under(folder(tmp_path / "data"), **metrics)
        assert floor is not None and floor.images == 40 and floor.fid < 1e-6
    floor = floor_under(folder(tmp_path / "data"), num_fake=20)
    assert floor is not None and floor.fid > 1e-3


def test_fewer_images_give_a_higher_floor() -> None:
    floors = [floor_under(num_fake=count) for count in (45, 90, 180, 360)]
    fids = [floor.fid for floor in floors if floor]
    assert fids == sorted(fids, reverse=True) and len(fids) == 4


def test_chunks_are_compared_with_chunks() -> None:
    assert reference_under(num_fake=1437, chunk=150).protocol.num_real == 1350
    train, test = (load_images(DataConfig(), split) for split in ("train", "test"))
    extractor = DigitsClassifier()
    module = loaded(extractor, CPU)
    features = [
        (extractor.features(module, train.pixels[real]), extractor.features(module, test.pixels[other]))
        for real, other in zip(draw_chunks(1437, 0, 2, 150), draw_chunks(360, 0, 2, 150), strict=True)
    ]
    first, second = (frechet_distance(Moments.of([real]), Moments.of([other])) for real, other in features)
    floor = floor_under(num_fake=1437, chunk=150)
    assert floor is not None and floor.images == 300
    assert floor.fid == pytest.approx((first + second) / 2, rel=1e-6)


def test_an_other_split_smaller_than_a_chunk_gives_none_and_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        assert floor_under(num_fake=1024, chunk=512) is None
    assert caplog.messages == ["no FID floor: there are 360 test images, the FID needs at least 512"]


def test_one_other_image_gives_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder_of_images(tmp_path / "data" / "train", tmp_path / "data" / "test")
    for number in range(1, 40):
        (tmp_path / "data" / "test" / f"{number:02}.png").unlink()
    assert floor_under(folder(tmp_path / "data"), num_fake=20) is None
    assert "there are 1 test images, the FID needs at least 2" in caplog.text


def test_data_with_one_split_has_none(tmp_path: Path) -> None:
    folder_of_images(tmp_path / "data")
    assert floor_under(folder(tmp_path / "data"), num_fake=20) is None


def test_a_broken_other_split_is_not_taken_for_none(tmp_path: Path) -> None:
    folder_of_images(tmp_path / "data" / "train", tmp_path / "data" / "test")
    (tmp_path / "data" / "test" / "00.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"00\.png"):
        floor_under(folder(tmp_path / "data"), num_fake=20)


def test_it_is_measured_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = floor_under(num_fake=360)
    monkeypatch.setattr(DigitsClassifier, "features", lambda *_: pytest.fail("computed again"))
    assert floor_under(num_fake=360) == first
    assert len(list(cache.glob("*.json"))) == 1 and all(path.suffix == ".lock" for path in cache.glob(".*"))


@pytest.mark.parametrize("changed", [{"num_fake": 200}, {"chunk": 150}, {"seed": 1}, {"split": "test"}])
def test_another_protocol_has_another_floor(cache: Path, changed: dict[str, object]) -> None:
    floors = [floor_under(**metrics) for metrics in ({"num_fake": 300}, {"num_fake": 300} | changed)]
    assert floors[0] != floors[1]
    assert len(list(cache.glob("*.json"))) == 2


@pytest.mark.parametrize("damage", ["", "{", "[]", "of others", "not finite", "negative", "more fields"])
def test_a_broken_file_is_computed_again_with_one_warning(
    damage: str, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = floor_under(num_fake=360)
    (path,) = cache.glob("*.json")
    content = json.loads(path.read_text())
    odd = {
        "of others": {"key": "another"},
        "not finite": {"fid": float("nan")},
        "negative": {"fid": -1.0},
        "more fields": {"colour": 1},
    }
    path.write_text(json.dumps(content | odd[damage]) if damage in odd else damage)
    for _ in range(2):
        assert floor_under(num_fake=360) == first
    assert caplog.text.count("the measurement of the floor is repeated") == 1
    assert json.loads(path.read_text()) == content


def test_a_place_that_cannot_be_written_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GANSEARCH_CACHE", str(tmp_path / "file"))
    for _ in range(2):
        assert floor_under(num_fake=360) is not None
    assert caplog.text.count("the measurement of the floor cannot be cached") == 1
