"""Reference statistics: computed once, never taken for those of something else, and never in the way."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from gansearch.cache import sha256
from gansearch.data.base import Images
from gansearch.data.digits import Digits
from gansearch.metrics.chunks import draw
from gansearch.metrics.extractors.base import Extractor
from gansearch.metrics.extractors.digits_classifier import WEIGHTS, ClassifierFeatures, DigitsClassifier
from gansearch.metrics.reference import reference_key, reference_moments

EXTRACTOR = DigitsClassifier()
ALL = draw(360, 0, 1, 360)


@pytest.fixture(scope="module")
def images() -> Images:
    return Digits().load("test")


@pytest.fixture(scope="module")
def module() -> ClassifierFeatures:
    return EXTRACTOR.load(torch.device("cpu"))


def never(self: Extractor, module: ClassifierFeatures, images: Tensor) -> Tensor:
    raise AssertionError("computed again")


def test_it_is_computed_once(
    images: Images, module: ClassifierFeatures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = reference_moments(images, ALL, EXTRACTOR, module, tmp_path)
    features = EXTRACTOR.features(module, images.pixels).double()
    torch.testing.assert_close(first.mean, features.mean(0), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(first.cov, torch.cov(features.T), rtol=1e-5, atol=1e-6)
    monkeypatch.setattr(DigitsClassifier, "features", never)
    (again,) = reference_moments(images, ALL, EXTRACTOR, module, tmp_path)
    assert torch.equal(again.mean, first.mean) and torch.equal(again.cov, first.cov) and again.count == first.count
    assert [path.suffix for path in tmp_path.iterdir()] == [".safetensors"]


def test_the_default_place_is_the_cache(
    images: Images, module: ClassifierFeatures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANSEARCH_CACHE", str(tmp_path))
    reference_moments(images, ALL, EXTRACTOR, module)
    assert [path.parent.name for path in tmp_path.rglob("*.safetensors")] == ["reference"]


def test_the_key_holds_images_and_weights(images: Images, tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({name: tensor + 0.01 for name, tensor in load_file(WEIGHTS).items()}, path)
    other = DigitsClassifier(weights=str(path), weights_sha256=sha256(path))
    flipped = Images(images.pixels.flip(-1), images.labels)
    keys = {
        reference_key(images, ALL, EXTRACTOR),
        reference_key(images, ALL, other),
        reference_key(flipped, ALL, EXTRACTOR),
        reference_key(images, draw(360, 0, 1, 180), EXTRACTOR),
        reference_key(images, draw(360, 0, 2, 180), EXTRACTOR),
        reference_key(images, draw(360, 1, 2, 180), EXTRACTOR),
    }
    assert len(keys) == 6


def test_chunks_have_their_own_moments(
    images: Images, module: ClassifierFeatures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunks = draw(360, 0, 3, 100)
    first = reference_moments(images, chunks, EXTRACTOR, module, tmp_path)
    for moments, chunk in zip(first, chunks, strict=True):
        features = EXTRACTOR.features(module, images.pixels[chunk]).double()
        torch.testing.assert_close(moments.cov, torch.cov(features.T), rtol=1e-5, atol=1e-6)
        assert moments.count == 100
    monkeypatch.setattr(DigitsClassifier, "features", never)
    again = reference_moments(images, chunks, EXTRACTOR, module, tmp_path)
    assert all(torch.equal(a.cov, b.cov) and a.count == b.count for a, b in zip(first, again, strict=True))


@pytest.mark.parametrize("damage", ["truncated", "empty", "of others", "not finite", "of one chunk"])
def test_a_broken_file_is_computed_anew_and_said_once(
    damage: str,
    images: Images,
    module: ClassifierFeatures,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (first,) = reference_moments(images, ALL, EXTRACTOR, module, tmp_path)
    (path,) = tmp_path.iterdir()
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
        assert torch.equal(reference_moments(images, ALL, EXTRACTOR, module, tmp_path)[0].cov, first.cov)
    assert capsys.readouterr().err.count("computed anew") == 1
    assert torch.equal(load_file(path)["cov"][0], first.cov)


def test_a_place_that_cannot_be_written_is_done_without(
    images: Images, module: ClassifierFeatures, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    for _ in range(2):
        (moments,) = reference_moments(images, ALL, EXTRACTOR, module, tmp_path / "file" / "reference")
        assert moments.count == len(images)
    assert capsys.readouterr().err.count("are not kept") == 1
