"""Inception v3 with weights of random values: checked, downloaded once, and equal to torch-fidelity's own module."""

from pathlib import Path

import pytest
import torch
from torch_fidelity.utils import create_feature_extractor

from gansearch.cache import sha256
from gansearch.errors import UserError
from gansearch.metrics.extractors.base import loaded
from gansearch.metrics.extractors.inception_v3_compat import InceptionV3Compat
from tests.metrics.conftest import Serve

CPU = torch.device("cpu")


@pytest.fixture
def served(serve: Serve, random_inception: Path) -> list[str]:
    """The random weights as the published ones on a local server, with an empty cache; the requests it got."""
    return serve(InceptionV3Compat, random_inception)


def test_it_is_torch_fidelitys_module(random_inception: Path) -> None:
    extractor = InceptionV3Compat(weights=str(random_inception), weights_sha256=sha256(random_inception))
    module = loaded(extractor, CPU)
    assert not module.training and not any(p.requires_grad for p in module.parameters())
    images = torch.randint(0, 256, (2, 1, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    features = extractor.features(module, images)
    assert features.shape == (2, 2048) and 0.01 < features.std() < 100
    theirs = create_feature_extractor(
        "inception-v3-compat", ["2048"], cuda=False, feature_extractor_weights_path=str(random_inception), verbose=False
    )
    torch.testing.assert_close(features, theirs(images.expand(-1, 3, -1, -1))[0], rtol=0, atol=2e-5 * features.std())


def test_the_weights_are_downloaded_once(served: list[str], tmp_path: Path, random_inception: Path) -> None:
    extractor = InceptionV3Compat()
    assert extractor.weights_hash() == extractor.weights_hash() == sha256(random_inception)
    assert len(served) == 1
    cached = tmp_path / "cache" / "weights"
    assert [path.name for path in cached.iterdir() if not path.name.startswith(".")] == [random_inception.name]


def test_a_download_of_something_else_is_refused(served: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(InceptionV3Compat, "own_sha256", "0" * 64)
    with pytest.raises(UserError, match=r"invalid hash value"):
        InceptionV3Compat().weights_hash()


def test_without_a_network_it_says_what_to_do(served: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(InceptionV3Compat, "url", "http://127.0.0.1:9/weights.pth")
    with pytest.raises(
        UserError, match=r"refused.*download http://127\S+ elsewhere.*--set metrics\.weights=FILE"
    ) as caught:
        InceptionV3Compat().weights_hash()
    assert "\n" not in str(caught.value)


def test_a_damaged_file_in_the_cache_is_downloaded_again_with_one_warning(
    served: list[str], tmp_path: Path, random_inception: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cached = tmp_path / "cache" / "weights" / random_inception.name
    cached.parent.mkdir(parents=True)
    for _ in range(2):
        cached.write_bytes(random_inception.read_bytes()[:1000])
        assert InceptionV3Compat().weights_hash() == sha256(random_inception) == sha256(cached)
    assert len(served) == 2
    assert caplog.text.count(f"{cached} is damaged: it is downloaded again") == 1


def test_missing_weights_are_reported_without_a_download(served: list[str], tmp_path: Path) -> None:
    missing = InceptionV3Compat().missing()
    assert missing and f"{tmp_path / 'cache' / 'weights'}: 91 MiB from http://127.0.0.1" in missing
    assert not served and not (tmp_path / "cache").exists()
    InceptionV3Compat().weights_hash()
    assert InceptionV3Compat().missing() is None


def test_code_in_a_weights_file_is_not_run(tmp_path: Path) -> None:
    path, trace = tmp_path / "evil.pth", tmp_path / "trace"

    class Evil:
        def __reduce__(self) -> tuple:
            return (Path.touch, (trace,))

    torch.save({"fc.bias": Evil()}, path)
    with pytest.raises(UserError, match=r"evil\.pth holds no weights"):
        loaded(InceptionV3Compat(weights=str(path), weights_sha256=sha256(path)), CPU)
    assert not trace.exists()


def test_the_published_hash_is_that_of_the_published_name() -> None:
    assert InceptionV3Compat.own_sha256.startswith(InceptionV3Compat.url.removesuffix(".pth").rpartition("-")[2])
