"""FID on a GPU: on a real one the CPU's numbers; without one, by fake tensors, that nothing is left on the CPU."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from gansearch import registry
from gansearch.cache import sha256
from gansearch.config import MetricsConfig
from gansearch.data.base import Images
from gansearch.data.digits import Digits
from gansearch.metrics.extractors import inception_v3_compat
from gansearch.metrics.extractors.base import Extractor, Precision
from gansearch.metrics.fid import _RunningMoments
from gansearch.metrics.reference import reference_of
from gansearch.metrics.scorer import Scorer
from tests.fake_gpu import move


@pytest.fixture(scope="module")
def inception(random_inception: Path) -> MetricsConfig:
    known = {"weights": str(random_inception), "weights_sha256": sha256(random_inception)}
    return MetricsConfig(name="inception-v3-compat", num_fake=64, **known)


@pytest.fixture
def no_matrices() -> Iterator[None]:
    """Fake matrices are not kept for tests with real images, nor real ones for these."""
    inception_v3_compat._stretch.cache_clear()
    yield
    inception_v3_compat._stretch.cache_clear()


@pytest.mark.filterwarnings("ignore:CUDA is not available")
@pytest.mark.parametrize("name", ["digits-classifier", "inception-v3-compat"])
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_features_and_their_sums_stay_on_the_device(
    name: str, precision: Precision, inception: MetricsConfig, no_matrices: None
) -> None:
    section = inception if name == inception.name else MetricsConfig()
    extractor: Extractor = registry.build("metrics", section.model_copy(update={"precision": precision}))
    module = extractor.build()
    with FakeTensorMode(allow_non_fake_inputs=True) as fake:
        move(module, fake)
        images = torch.empty(100, 3, 32, 32, dtype=torch.uint8, device="cuda")
        features = extractor.features(module, images)
        sums = _RunningMoments.of([features]).merged(_RunningMoments.of([features, features]))
        assert (features.dtype, len(features), sums.count) == (torch.float32, 100, 300)
        assert {features.device.type, sums.mean.device.type, sums.scatter.device.type} == {"cuda"}
        with pytest.raises(RuntimeError, match="on the same device"):
            features @ sums.scatter.cpu()  # so that a tensor left behind is found


@pytest.mark.gpu
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-4), ("bf16", 0.05)])
def test_a_gpu_gives_the_cpus_fid(precision: Precision, tolerance: float, inception: MetricsConfig) -> None:
    real, fake = (Digits().load(split).pixels[:64] for split in ("train", "test"))
    fids = []
    for device, dtype in (("cpu", "float32"), ("cuda", precision)):
        metrics = inception.model_copy(update={"precision": dtype})
        reference = reference_of(metrics, Images(real), torch.device(device))
        fids.append(Scorer(metrics, torch.device(device), reference).fid([fake.to(device)]))
    assert fids[1] == pytest.approx(fids[0], rel=tolerance)
