"""Reference statistics: computed once, never confused with others, and no obstacle where the cache is broken."""

import pickle
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from gansearch.cache import sha256
from gansearch.config import MetricsConfig
from gansearch.data.base import Images
from gansearch.data.digits import Digits
from gansearch.metrics.extractors.base import Extractor, loaded
from gansearch.metrics.extractors.digits_classifier import WEIGHTS, DigitsClassifier
from gansearch.metrics.fid import frechet_distance
from gansearch.metrics.reference import draw_chunks, reference_key, reference_of

EXTRACTOR = DigitsClassifier()
METRICS = MetricsConfig(split="test")
CPU = torch.device("cpu")
ALL = draw_chunks(360, 0, 1, 360)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GANSEARCH_CACHE", str(tmp_path))
    return tmp_path / "reference"


@pytest.fixture(scope="module")
def images() -> Images:
    return Digits().load("test")


def never(self: Extractor, module: nn.Module, images: Tensor) -> Tensor:
    raise AssertionError("computed again")


def test_it_is_computed_once(images: Images, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (first,) = reference_of(METRICS, images, CPU).moments
    features = EXTRACTOR.features(loaded(EXTRACTOR, CPU), images.pixels).double()
    torch.testing.assert_close(first.mean, features.mean(0), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(first.covariance, torch.cov(features.T), rtol=1e-5, atol=1e-6)
    monkeypatch.setattr(DigitsClassifier, "features", never)
    (again,) = reference_of(METRICS, images, CPU).moments
    assert (
        torch.equal(again.mean, first.mean)
        and torch.equal(again.covariance, first.covariance)
        and again.count == first.count
    )
    assert [path.suffix for path in folder.iterdir() if not path.name.startswith(".")] == [".safetensors"]


def test_the_key_holds_images_and_weights(images: Images, tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({name: tensor + 0.01 for name, tensor in load_file(WEIGHTS).items()}, path)
    other = DigitsClassifier(weights=str(path), weights_sha256=sha256(path))
    flipped = Images(images.pixels.flip(-1), images.labels)
    keys = {
        reference_key(images, ALL, EXTRACTOR),
        reference_key(images, ALL, other),
        reference_key(flipped, ALL, EXTRACTOR),
        reference_key(images, draw_chunks(360, 0, 1, 180), EXTRACTOR),
        reference_key(images, draw_chunks(360, 0, 2, 180), EXTRACTOR),
        reference_key(images, draw_chunks(360, 1, 2, 180), EXTRACTOR),
        reference_key(images, ALL, DigitsClassifier(precision="bf16")),
    }
    assert len(keys) == 7


def test_chunks_have_their_own_moments(images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = METRICS.model_copy(update={"chunk": 50})  # fewer than the extractor has features
    first = reference_of(metrics, images, CPU).moments
    for moments, chunk in zip(first, draw_chunks(360, 0, 7, 50), strict=True):
        features = EXTRACTOR.features(loaded(EXTRACTOR, CPU), images.pixels[chunk]).double()
        torch.testing.assert_close(moments.covariance, torch.cov(features.T), rtol=1e-5, atol=1e-6)
        assert moments.count == 50 and moments.factor is not None
    monkeypatch.setattr(DigitsClassifier, "features", never)
    again = reference_of(metrics, images, CPU).moments
    assert all(
        torch.equal(a.covariance, b.covariance) and a.count == b.count for a, b in zip(first, again, strict=True)
    )


@pytest.mark.parametrize("damage", ["truncated", "empty", "of others", "not finite", "of one chunk"])
def test_a_broken_file_is_measured_again_with_one_warning(
    damage: str, images: Images, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (first,) = reference_of(METRICS, images, CPU).moments
    (path,) = folder.glob("*.safetensors")
    key, content = path.stem, load_file(path)
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "of others":
        save_file(content, path, metadata={"key": "another"})
    elif damage == "not finite":
        save_file(content | {"mean": content["mean"] * torch.nan}, path, metadata={"key": key})
    else:
        save_file({name: tensor[0] for name, tensor in content.items()}, path, metadata={"key": key})
    for _ in range(2):
        assert torch.equal(reference_of(METRICS, images, CPU).moments[0].covariance, first.covariance)
    assert caplog.text.count("the measurement of the reference statistics is repeated") == 1
    assert torch.equal(load_file(path)["covariance"][0], first.covariance)


def test_a_place_that_cannot_be_written_is_done_without(
    images: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GANSEARCH_CACHE", str(tmp_path / "file"))
    for _ in range(2):
        assert reference_of(METRICS, images, CPU).moments[0].count == len(images)
    assert caplog.text.count("cannot be cached") == 1


def test_two_that_start_at_once_do_the_work_once(images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    features = DigitsClassifier.features

    def slowly(self: Extractor, module: nn.Module, batch: Tensor) -> Tensor:
        seen.append(len(batch))
        time.sleep(0.2)
        return features(self, module, batch)

    monkeypatch.setattr(DigitsClassifier, "features", slowly)
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: reference_of(METRICS, images, CPU), range(2)))
    assert sum(seen) == len(images)
    assert torch.equal(both[0].moments[0].covariance, both[1].moments[0].covariance)


def test_it_goes_through_pickle_as_ray_sends_it(images: Images) -> None:
    reference = reference_of(METRICS, images, CPU)
    other = pickle.loads(pickle.dumps(reference))
    assert (other.protocol, other.chunking, other.key) == (reference.protocol, reference.chunking, reference.key)
    assert frechet_distance(other.moments[0], reference.moments[0]) < 1e-6
