"""The shipped classifier: the right weights, good at its task, and at home in torch-fidelity."""

from pathlib import Path

import pytest
import torch
import torch_fidelity
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.utils.data import Dataset

from gansearch import registry
from gansearch.cache import sha256
from gansearch.config import MetricsConfig
from gansearch.data.digits import Digits
from gansearch.device import float32_arithmetic
from gansearch.errors import UserError
from gansearch.metrics.extractors.base import Extractor, loaded
from gansearch.metrics.extractors.digits_classifier import WEIGHTS, DigitsClassifier
from gansearch.metrics.fid import Moments, frechet_distance
from gansearch.metrics.networks.classifier import Classifier, ClassifierFeatures

CPU = torch.device("cpu")


class Pictures(Dataset):
    """Images as torch-fidelity takes them, one by one in three channels."""

    def __init__(self, pixels: Tensor) -> None:
        self._pixels = pixels

    def __len__(self) -> int:
        return len(self._pixels)

    def __getitem__(self, index: int) -> Tensor:
        return self._pixels[index].expand(3, -1, -1)


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    return registry.build("metrics", MetricsConfig())


@pytest.fixture(scope="module")
def module(extractor: Extractor) -> ClassifierFeatures:
    return loaded(extractor, CPU)


@pytest.fixture(scope="module")
def train() -> Tensor:
    return Digits().load("train").pixels


@pytest.fixture(scope="module")
def unseen() -> Tensor:
    return Digits().load("test").pixels


def test_torch_fidelity_measures_the_same_with_it(
    extractor: Extractor, module: ClassifierFeatures, train: Tensor, unseen: Tensor
) -> None:
    ours = frechet_distance(*(Moments.of([extractor.features(module, pixels)]) for pixels in (train, unseen)))
    theirs = torch_fidelity.calculate_metrics(
        input1=Pictures(train),
        input2=Pictures(unseen),
        feature_extractor="digits-classifier",
        fid=True,
        cuda=False,
        save_cpu_ram=True,
        cache=False,
        verbose=False,
    )
    assert ours == pytest.approx(theirs["frechet_inception_distance"], rel=1e-6)


def test_it_knows_digits_that_it_has_not_seen() -> None:
    images = Digits().load("test")
    (logits,) = ClassifierFeatures("digits-classifier", ["logits"])(images.pixels.expand(-1, 3, -1, -1))
    assert (logits.argmax(1) == images.labels).float().mean() > 0.98


def test_it_is_small_and_no_feature_is_dead(extractor: Extractor, module: ClassifierFeatures, train: Tensor) -> None:
    assert WEIGHTS.stat().st_size < 400_000
    features = extractor.features(module, train)
    assert features.shape == (len(train), 64) and features.dtype == torch.float32
    assert features.std(0).amin() > 0.01


def test_grey_and_repeated_images_have_the_same_features(
    extractor: Extractor, module: ClassifierFeatures, unseen: Tensor
) -> None:
    grey = extractor.features(module, unseen[:8])
    assert torch.equal(grey, extractor.features(module, unseen[:8].repeat(1, 3, 1, 1)))


def test_other_resolutions_are_resized(extractor: Extractor, module: ClassifierFeatures) -> None:
    small, large = (Digits(resolution=r).load("test").pixels for r in (64, 32))
    near, far = (extractor.features(module, pixels) for pixels in (small, large))
    assert (near - far).norm() < 0.1 * far.norm()


def test_reduced_precision_around_it_does_not_reach_it(
    extractor: Extractor, module: ClassifierFeatures, unseen: Tensor
) -> None:
    plain = extractor.features(module, unseen[:8])
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(extractor.features(module, unseen[:8]), plain)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


def test_it_computes_exactly_where_tf32_was_set_by_the_newer_setting(
    extractor: Extractor, module: ClassifierFeatures, unseen: Tensor
) -> None:
    """torch refuses to mix its two settings, so the older one may not be touched here."""
    inside = []
    module.register_forward_hook(lambda *_: inside.append(torch.backends.cudnn.conv.fp32_precision))
    with float32_arithmetic(tf32=True):
        extractor.features(module, unseen[:8])
        assert torch.backends.cudnn.conv.fp32_precision == "tf32"
        assert torch.backends.cuda.matmul.fp32_precision == "tf32"
    assert inside == ["ieee"]


def test_building_it_draws_no_random_numbers(extractor: Extractor) -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    loaded(extractor, CPU)
    assert torch.equal(torch.rand(3), expected)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"metrics\.weights=.*none\.safetensors: there is no such file"):
        DigitsClassifier(weights=str(tmp_path / "none.safetensors")).weights_hash()


@pytest.mark.parametrize(("channels", "classes", "width"), [(1, 2, 16), (3, 7, 4)])
def test_weights_of_other_sizes_are_read_by_their_shapes(
    tmp_path: Path, channels: int, classes: int, width: int
) -> None:
    net = Classifier(channels, classes, width)
    path = tmp_path / "other.safetensors"
    save_file(net.state_dict(), path)
    extractor = DigitsClassifier(weights=str(path), weights_sha256=sha256(path))
    module = loaded(extractor, CPU)
    colour = torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    seen = colour if channels == 3 else colour.float().mean(1, keepdim=True)
    with torch.no_grad():
        expected, logits = net(seen / 127.5 - 1)
    torch.testing.assert_close(extractor.features(module, colour), expected)
    assert logits.shape == (5, classes)
    turned = extractor.features(module, colour.flip(1))
    assert torch.allclose(turned, expected, atol=1e-6) == (channels == 1)
    assert extractor.features(module, colour[:, :1]).shape == (5, 64)


def test_another_file_must_be_meant(tmp_path: Path) -> None:
    other = {name: tensor * 2 for name, tensor in load_file(WEIGHTS).items()}
    path = tmp_path / "other.safetensors"
    save_file(other, path)
    found = sha256(path)
    with pytest.raises(UserError, match=rf"expected SHA-256 {DigitsClassifier.own_sha256[:12]}.*found {found[:12]}"):
        loaded(DigitsClassifier(weights=str(path)), CPU)
    meant = DigitsClassifier(weights=str(path), weights_sha256=found.upper())
    assert meant.weights_hash() == found
    assert torch.allclose(loaded(meant, CPU).net.hidden.weight, 2 * load_file(WEIGHTS)["hidden.weight"])


def test_a_file_that_holds_no_such_weights_is_refused(tmp_path: Path) -> None:
    flat = {"conv1.weight": torch.zeros(3), "logits.bias": torch.zeros(10)}
    four = {"conv1.bias": torch.zeros(2), "conv1.weight": torch.zeros(2, 4, 3, 3)}
    for content in ({"a": torch.zeros(3)}, {"logits.bias": torch.zeros(10)}, flat, four):
        path = tmp_path / f"{next(iter(content))}.safetensors"
        save_file(content, path)
        with pytest.raises(UserError, match=r"holds no weights of digits-classifier") as caught:
            loaded(DigitsClassifier(weights=str(path), weights_sha256=sha256(path)), CPU)
        assert "\n" not in str(caught.value)
    text = tmp_path / "text"
    text.write_text("no weights")
    with pytest.raises(UserError, match=r"holds no weights"):
        loaded(DigitsClassifier(weights=str(text), weights_sha256=sha256(text)), CPU)


def test_a_hash_that_is_none_is_refused() -> None:
    with pytest.raises(UserError, match=r"metrics\.weights_sha256=abc"):
        registry.build("metrics", MetricsConfig(weights_sha256="abc"))
