"""KID against that of torch-fidelity, and which features are refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.random_inception import write_weights
from gansearch.cache import sha256
from gansearch.data.digits import Digits
from gansearch.errors import UserError
from gansearch.metrics.extractors.base import Extractor, loaded
from gansearch.metrics.extractors.digits_classifier import DigitsClassifier
from gansearch.metrics.extractors.inception_v3_compat import InceptionV3Compat
from gansearch.metrics.kid import KID, SUBSET_SIZE, SUBSETS, kid, too_few_images
from tests.metrics.fidelity import torch_fidelitys

CPU = torch.device("cpu")


def ours(extractor: Extractor, real: Tensor, fake: Tensor, size: int) -> KID:
    module = loaded(extractor, CPU)
    return kid(*(extractor.features(module, images) for images in (real, fake)), subset_size=size)


def theirs(real: Tensor, fake: Tensor, size: int, **options: object) -> list[float]:
    found = torch_fidelitys(real, fake, kid=True, kid_subset_size=size, **options)
    return [found[f"kernel_inception_distance_{name}"] for name in ("mean", "std")]


@pytest.fixture(scope="module")
def inception(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns random weights that give large features.

    For small features the kernel (x y / D + 1)^3 is nearly 1. A distance of some thousandths is the difference of such
    kernels in float32 and has at most five digits, in torch-fidelity too.
    """
    path = write_weights(tmp_path_factory.mktemp("weights") / "random.pth")
    state = torch.load(path, weights_only=True)
    for name, tensor in state.items():
        if name.startswith("Mixed_7c") and tensor.dim() > 1:
            tensor.mul_(4)
    torch.save(state, path)
    return path


def grey(low: int, high: int, count: int, seed: int) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(low, high, (count, 1, 32, 32), dtype=torch.uint8, generator=rng)


@pytest.mark.slow
def test_inception_gives_torch_fidelitys_kid(inception: Path) -> None:
    real, fake = grey(0, 64, 6, seed=0), grey(192, 256, 5, seed=1)
    extractor = InceptionV3Compat(weights=str(inception), weights_sha256=sha256(inception))
    mean, std = theirs(real, fake, 4, feature_extractor_weights_path=str(inception))
    found = ours(extractor, real, fake, 4)
    assert (found.mean, found.std) == (pytest.approx(mean, rel=1e-6), pytest.approx(std, rel=1e-4))
    assert mean > 100 and std > 0


@pytest.mark.parametrize("size", [50, 150])
def test_digits_give_torch_fidelitys_kid(size: int) -> None:
    real, fake = (Digits().load(split).pixels for split in ("train", "test"))
    expected = theirs(real, 255 - fake, size, feature_extractor="digits-classifier")
    found = ours(DigitsClassifier(), real, 255 - fake, size)
    assert [found.mean, found.std] == pytest.approx(expected, rel=1e-6)
    assert (found.subsets, found.subset_size) == (SUBSETS, size)


def test_it_has_no_bias_and_an_fid_has() -> None:
    rng = torch.Generator().manual_seed(0)
    means = [kid(*torch.randn(2, 400, 16, generator=rng), subset_size=100).mean for _ in range(8)]
    assert min(means) < 0 < max(means) and abs(sum(means) / 8) < 0.02
    x = torch.randn(400, 16, generator=rng)
    assert kid(x, x + 1, subset_size=100).mean > 1


def test_it_leaves_numpys_generator_alone_and_repeats_itself() -> None:
    x, y = torch.randn(2, 60, 4, generator=torch.Generator().manual_seed(0))
    np.random.seed(7)
    expected = np.random.rand()
    np.random.seed(7)
    assert kid(x, y, subset_size=20) == kid(x, y, subset_size=20) != kid(y, x, subset_size=20)
    assert np.random.rand() == expected


@pytest.mark.parametrize(
    ("real", "fake", "size", "message"),
    [
        (1000, 999, SUBSET_SIZE, "KID needs subsets of 1,000 images, there are 999 generated ones"),
        (360, 5000, SUBSET_SIZE, "KID needs subsets of 1,000 images, there are 360 real ones"),
        (50, 50, 1, "KID needs subsets of at least 2 images, not of 1"),
    ],
)
def test_too_few_images_are_refused(real: int, fake: int, size: int, message: str) -> None:
    with pytest.raises(UserError, match=f"^{message}: use more images, or another subset_size$"):
        kid(torch.zeros(real, 2), torch.zeros(fake, 2), size)
    assert too_few_images(real, fake, size) == message


def test_just_enough_images_do() -> None:
    assert too_few_images(1000, 1000) is None
    assert kid(torch.zeros(2, 3), torch.zeros(2, 3), 2) == KID(mean=0, std=0, subsets=SUBSETS, subset_size=2)


@pytest.mark.filterwarnings("ignore:(invalid value|overflow) encountered")
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e30])
def test_features_that_are_no_numbers_are_refused(bad: float) -> None:
    features = torch.ones(20, 3)
    features[4, 1] = bad
    with pytest.raises(ValueError, match="not finite"):
        kid(torch.ones(20, 3), features, 20)
    with pytest.raises(ValueError, match="features of 3 and of 2 dimensions"):
        kid(torch.ones(20, 3), torch.ones(20, 2), 20)
