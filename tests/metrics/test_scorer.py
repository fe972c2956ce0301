"""The FID of a trial: of real, damaged and collapsed images, and which images of the batches are read."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from gansearch.config import DataConfig, MetricsConfig, TrialConfig
from gansearch.data.base import Images
from gansearch.data.loader import load_images
from gansearch.errors import UserError
from gansearch.metrics.extractors.base import loaded
from gansearch.metrics.extractors.digits_classifier import DigitsClassifier
from gansearch.metrics.fid import Moments, frechet_distance
from gansearch.metrics.reference import draw_chunks, reference_of
from gansearch.metrics.scorer import Scorer, scorer_for

CPU = torch.device("cpu")
CONFIG = TrialConfig(metrics=MetricsConfig(num_fake=360))


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("GANSEARCH_CACHE", str(folder))
        yield folder


def scorer_of(**metrics: object) -> Scorer:
    return scorer_for(CONFIG.override({f"metrics.{name}": value for name, value in metrics.items()}), CPU)


@pytest.fixture(scope="module")
def scorer(cache: Path) -> Scorer:
    return scorer_of()


@pytest.fixture(scope="module")
def unseen() -> Tensor:
    return load_images(CONFIG.data, "test").pixels


def test_real_images_are_near_and_all_others_far(scorer: Scorer, unseen: Tensor) -> None:
    generator = torch.Generator().manual_seed(0)
    labels = load_images(CONFIG.data, "test").labels
    assert labels is not None
    no_eights = unseen[labels != 8]
    floor = scorer.fid([unseen])
    assert 0 < floor < 0.5
    others = {
        "blurred a little": (gaussian_blur(unseen, [13, 13], [1.0, 1.0]), 2),
        "blurred": (gaussian_blur(unseen, [13, 13], [3.0, 3.0]), 30),
        "noisy": ((unseen + 32 * torch.randn(unseen.shape, generator=generator)).clamp(0, 255).to(torch.uint8), 2),
        "without one class": (torch.cat([no_eights, no_eights])[:360], 4),
        "noise": (torch.randint(0, 256, unseen.shape, generator=generator, dtype=torch.uint8), 100),
        "one digit only": (unseen[:1].expand(360, -1, -1, -1), 200),
        "black": (torch.zeros_like(unseen), 200),
    }
    for name, (images, times) in others.items():
        assert scorer.fid([images]) > times * floor, name


def test_collapsed_generators_and_constant_images_have_a_finite_fid(scorer: Scorer, unseen: Tensor) -> None:
    collapsed = scorer.fid([unseen[:1].expand(360, -1, -1, -1)])
    assert 100 < collapsed < 1000
    grey = Images(torch.full((50, 1, 32, 32), 128, dtype=torch.uint8))
    section = CONFIG.metrics.model_copy(update={"num_fake": 2})
    constant = Scorer(section, CPU, reference_of(section, grey, CPU))
    assert constant.fid([grey.pixels[:2]]) < 1e-6
    assert 10 < constant.fid([unseen]) < 1000


def test_more_blur_is_worse(scorer: Scorer, unseen: Tensor) -> None:
    fids = [scorer.fid([gaussian_blur(unseen, [13, 13], [sigma, sigma])]) for sigma in (0.5, 1.0, 2.0, 3.0, 4.0)]
    assert fids == sorted(fids)


def test_batches_and_channels_make_no_difference(scorer: Scorer, unseen: Tensor) -> None:
    whole = scorer.fid([unseen])
    assert scorer.fid(unseen.split(7)) == pytest.approx(whole, rel=1e-5)
    assert scorer.fid(unseen.expand(-1, 3, -1, -1).split(100)) == pytest.approx(whole, rel=1e-5)


def test_it_reads_as_many_images_as_the_protocol_says(scorer: Scorer, unseen: Tensor) -> None:
    noise = torch.randint(0, 256, unseen.shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    batches = iter([unseen[:300], torch.cat([unseen[300:], noise]), noise])
    assert scorer.fid(batches) == pytest.approx(scorer.fid([unseen]), rel=1e-5)
    assert len(list(batches)) == 1


def test_wrong_images_are_refused(scorer: Scorer, unseen: Tensor) -> None:
    with pytest.raises(ValueError, match="100 generated images, but the protocol needs 360"):
        scorer.fid([unseen[:100]])
    with pytest.raises(ValueError, match="not uint8 of 32 x 32"):
        scorer.fid([unseen.float()])
    with pytest.raises(ValueError, match="not uint8 of 32 x 32"):
        scorer.fid([unseen[..., :16, :16]])


def test_a_chunked_fid_is_the_mean_over_chunks(cache: Path, unseen: Tensor) -> None:
    chunked = scorer_of(chunk=110)
    real = load_images(CONFIG.data, "train").pixels
    extractor = DigitsClassifier()
    module = loaded(extractor, CPU)
    moments = [Moments.of([extractor.features(module, real[chunk])]) for chunk in draw_chunks(1437, 0, 3, 110)]
    fakes = [Moments.of([extractor.features(module, fake)]) for fake in unseen[:330].split(110)]
    by_hand = [frechet_distance(*pair) for pair in zip(moments, fakes, strict=True)]
    for size in (360, 100, 7):
        assert chunked.fid(unseen.split(size)) == pytest.approx(sum(by_hand) / 3, rel=1e-5)
    assert max(by_hand) > 1.02 * min(by_hand)


def test_a_chunked_fid_is_another_protocol(cache: Path, scorer: Scorer, unseen: Tensor) -> None:
    chunked = scorer_of(chunk=110)
    assert (chunked.protocol.estimator, scorer.protocol.estimator) == ("chunked-110", "standard")
    assert (chunked.protocol.num_real, chunked.protocol.num_fake) == (330, 330)
    assert chunked.protocol.hash != scorer.protocol.hash
    # With fewer images each distance has a larger bias.
    assert chunked.fid([unseen]) > scorer.fid([unseen])
    other = scorer_of(chunk=110, seed=1)
    assert other.fid([unseen]) != chunked.fid([unseen])
    again = scorer_of(chunk=110, num_fake=430)
    assert again.protocol == chunked.protocol and again.fid([unseen]) == chunked.fid([unseen])
    with pytest.raises(ValueError, match="200 generated images, but the protocol needs 330"):
        chunked.fid([unseen[:200]])


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ({"chunk": 1024}, "metrics.chunk=1024: only 360 images are generated; set metrics.num_fake"),
        ({"chunk": 1024, "num_fake": 2048, "split": "test"}, "metrics.chunk=1024: there are only 360 test images"),
    ],
)
def test_a_chunk_that_cannot_be_filled_is_refused(cache: Path, metrics: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        scorer_of(**metrics)


def test_one_real_image_is_refused(cache: Path) -> None:
    one = Images(load_images(CONFIG.data, "test").pixels[:1])
    with pytest.raises(UserError, match=r"metrics\.split=train: 1 real image is too few"):
        reference_of(CONFIG.metrics, one, CPU)


def test_the_protocol_records_the_measurement(scorer: Scorer) -> None:
    protocol = scorer.protocol
    assert (protocol.extractor, protocol.split, protocol.resolution) == ("digits-classifier", "train", 32)
    assert (protocol.num_real, protocol.num_fake, protocol.seed) == (1437, 360, 0)
    assert protocol.data == load_images(CONFIG.data, "train").fingerprint


def test_trials_that_differ_elsewhere_share_a_scorer() -> None:
    shared = scorer_for(CONFIG, CPU)
    assert scorer_for(CONFIG.override({"optim.g_lr": 1e-3, "seed": 5}), CPU) is shared
    other = scorer_for(CONFIG.override({"metrics.num_fake": 100}), CPU)
    assert other is not shared and other.protocol.difference(shared.protocol) == "num_fake 100 / 360"
    resized = scorer_for(CONFIG.override({"data.resolution": 16}), CPU)
    assert resized.protocol.resolution == 16


def test_equal_sections_share_the_images() -> None:
    assert load_images(DataConfig(), "train") is load_images(DataConfig(), "train")
    assert load_images(DataConfig(), "test") is not load_images(DataConfig(), "train")
