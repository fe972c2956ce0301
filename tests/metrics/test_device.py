"""FID on a GPU: a real one gives the numbers of the CPU; without one, fake tensors show that no tensor stays behind."""

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
from gansearch.metrics.extractors.base import Extractor, Precision
from gansearch.metrics.fid import _RunningMoments
from gansearch.metrics.networks.inception import _stretch
from gansearch.metrics.reference import reference_of
from gansearch.metrics.scorer import Scorer
from tests.fake_gpu import autocasting, move


@pytest.fixture(scope="module")
def inception(random_inception: Path) -> MetricsConfig:
    known = {"weights": str(random_inception), "weights_sha256": sha256(random_inception)}
    return MetricsConfig(name="inception-v3-compat", num_fake=64, **known)


@pytest.fixture
def no_matrices() -> Iterator[None]:
    """Clears the cached resize matrices, so that tests with fake and with real tensors do not share them."""
    _stretch.cache_clear()
    yield
    _stretch.cache_clear()


@pytest.mark.parametrize("name", ["digits-classifier", "inception-v3-compat"])
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_features_and_moments_stay_on_the_device(
    name: str, precision: Precision, inception: MetricsConfig, no_matrices: None
) -> None:
    section = inception if name == inception.name else MetricsConfig()
    extractor: Extractor = registry.build("metrics", section.model_copy(update={"precision": precision}))
    module = extractor.build()
    with FakeTensorMode(allow_non_fake_inputs=True) as fake:
        move(module, fake)
        images = torch.empty(100, 3, 32, 32, dtype=torch.uint8, device="cuda")
        types = set()
        for part in module.modules():
            part.register_forward_hook(lambda _, inputs, output: types.add(getattr(output, "dtype", None)))
        with autocasting():
            features = extractor.features(module, images)
        assert (torch.bfloat16 in types) is (precision == "bf16")
        running = _RunningMoments.of([features]).merged(_RunningMoments.of([features, features]))
        assert (features.dtype, len(features), running.count) == (torch.float32, 100, 300)
        assert {features.device.type, running.mean.device.type, running.scatter.device.type} == {"cuda"}
        with pytest.raises(RuntimeError, match="on the same device"):
            features @ running.scatter.cpu()  # so that a tensor left behind is found


@pytest.mark.gpu
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-4), ("bf16", 0.05)])
def test_a_gpu_gives_the_fid_of_the_cpu(precision: Precision, tolerance: float, inception: MetricsConfig) -> None:
    real, fake = (Digits().load(split).pixels[:64] for split in ("train", "test"))
    fids = []
    for device, dtype in (("cpu", "float32"), ("cuda", precision)):
        metrics = inception.model_copy(update={"precision": dtype})
        reference = reference_of(metrics, Images(real), torch.device(device))
        fids.append(Scorer(metrics, torch.device(device), reference).fid([fake.to(device)]))
    assert fids[1] == pytest.approx(fids[0], rel=tolerance)
