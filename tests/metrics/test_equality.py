"""FIDs equal those of torch-fidelity and pytorch-fid for the same images and weights."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pytorch_fid.fid_score import calculate_frechet_distance
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from gansearch.cache import sha256
from gansearch.config import MetricsConfig
from gansearch.data.base import Images
from gansearch.data.digits import Digits
from gansearch.metrics.fid import Moments, frechet_distance
from gansearch.metrics.reference import reference_of
from gansearch.metrics.scorer import Scorer
from tests.metrics.fidelity import torch_fidelitys

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANSEARCH_CACHE", str(tmp_path))


@pytest.fixture(scope="module")
def pair() -> tuple[Tensor, Tensor]:
    """Returns 12 real digits and 10 strongly blurred ones, uint8 (N, 3, 32, 32).

    For similar images the FIDs would differ by a millionth: torch-fidelity computes the mean of features in float32.
    """
    pixels = Digits().load("test").pixels.expand(-1, 3, -1, -1)
    return pixels[:12], gaussian_blur(pixels[12:22], [13, 13], [3.0, 3.0])


def scorer(real: Tensor, num_fake: int, **metrics: object) -> Scorer:
    section = MetricsConfig.model_validate({"num_fake": num_fake, **metrics})
    return Scorer(section, CPU, reference_of(section, Images(real), CPU))


def theirs(real: Tensor, fake: Tensor, **options: object) -> float:
    return torch_fidelitys(real, fake, fid=True, **options)["frechet_inception_distance"]


@pytest.mark.slow
def test_inception_gives_torch_fidelitys_fid(random_inception: Path, pair: tuple[Tensor, Tensor]) -> None:
    real, fake = pair
    inception = {
        "name": "inception-v3-compat",
        "weights": str(random_inception),
        "weights_sha256": sha256(random_inception),
    }
    expected = theirs(real, fake, feature_extractor_weights_path=str(random_inception))
    exact = scorer(real, len(fake), **inception)
    assert exact.fid([fake]) == pytest.approx(expected, rel=1e-6)
    few = 4  # an image takes a CPU without units for bf16 a second and more
    fast = scorer(real[:few], few, precision="bf16", **inception)
    assert fast.fid([fake]) == pytest.approx(scorer(real[:few], few, **inception).fid([fake]), rel=0.05)
    assert "dtype bf16 / float32" in fast.protocol.difference(exact.protocol)


def test_digits_give_torch_fidelitys_fid() -> None:
    train, test = (Digits().load(split).pixels for split in ("train", "test"))
    colour = [pixels.expand(-1, 3, -1, -1) for pixels in (train, test)]
    expected = theirs(*colour, feature_extractor="digits-classifier")
    assert scorer(train, len(test)).fid([test]) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("count", [60, 300])
def test_the_frechet_step_is_pytorch_fids(count: int) -> None:
    rng = torch.Generator().manual_seed(count)
    mix = torch.randn(128, 128, generator=rng, dtype=torch.float64)
    real, fake = (torch.randn(n, 128, generator=rng, dtype=torch.float64) @ mix + n / 1000 for n in (400, count))
    statistics = [array for x in (real, fake) for array in (x.numpy().mean(0), np.cov(x.numpy(), rowvar=False))]
    expected = calculate_frechet_distance(*statistics)
    assert frechet_distance(Moments.of([real]), Moments.of([fake])) == pytest.approx(expected, rel=1e-6)
