"""Final scores: the FID of the search for another number of images, FID at infinity and KID."""

import weakref
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from gansearch.config import MetricsConfig, TrialConfig
from gansearch.data.loader import load_images
from gansearch.errors import UserError
from gansearch.metrics import kid as kernel
from gansearch.metrics.extractors.base import loaded
from gansearch.metrics.extractors.digits_classifier import DigitsClassifier
from gansearch.metrics.final import final_scores
from gansearch.metrics.infinity import fid_infinity
from gansearch.metrics.scorer import scorer_for

CPU = torch.device("cpu")
CONFIG = TrialConfig(metrics=MetricsConfig(num_fake=64))


@pytest.fixture(scope="module")
def fakes() -> Tensor:
    """Returns 1,300 images that are nearly digits: every fourth row is a copy of the row above."""
    pixels = load_images(CONFIG.data, "train").pixels[:1300].clone()
    pixels[:, :, 4::4] = pixels[:, :, 3:-1:4]
    return pixels


def features(images: Tensor) -> Tensor:
    extractor = DigitsClassifier()
    return torch.cat([extractor.features(loaded(extractor, CPU), part) for part in images.split(256)])


def no_images() -> Iterator[Tensor]:
    pytest.fail("an image was generated before the check")
    yield torch.empty(0)


def test_the_fid_is_the_trials_at_that_size(fakes: Tensor) -> None:
    search = scorer_for(CONFIG, CPU).protocol
    scores = final_scores(CONFIG, fakes.split(100), 500, CPU, search)
    scorer = scorer_for(CONFIG.override({"metrics.num_fake": 500}), CPU)
    assert scores.fid == pytest.approx(scorer.fid([fakes]), rel=1e-5)
    assert scores.protocol == scorer.protocol and scores.protocol.difference(search) == "num_fake 500 / 64"
    line = fid_infinity(scorer.reference.moments[0], features(fakes[:500]), seed=0)
    assert scores.fid_infinity is not None and scores.fid_infinity.fid == pytest.approx(line.fid, rel=1e-4)
    assert scores.fid_infinity.fid < scores.fid
    assert scores.kid is None
    assert scores.missing == ("KID needs subsets of 1,000 images, there are 500 generated ones",)


def test_the_kid_is_to_all_real_images(fakes: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "SUBSETS", 4)
    scores = final_scores(CONFIG, [fakes], 1100, CPU)
    real = load_images(CONFIG.data, "train").pixels
    expected = kernel.kid(features(real), features(fakes[:1100]))
    assert scores.kid is not None and scores.kid.mean == pytest.approx(expected.mean, rel=1e-4)
    assert scores.missing == () and scores.images == 1100
    assert final_scores(CONFIG.override({"metrics.split": "test"}), [fakes], 1100, CPU).missing == (
        "KID needs subsets of 1,000 images, there are 360 real ones",
    )


def test_under_chunks_the_fid_is_over_them_and_the_rest_over_all(fakes: Tensor) -> None:
    chunked = CONFIG.override({"metrics.chunk": 110, "metrics.num_fake": 110})
    scores = final_scores(chunked, fakes.split(77), 500, CPU, scorer_for(chunked, CPU).protocol)
    scorer = scorer_for(chunked.override({"metrics.num_fake": 500}), CPU)
    assert scores.fid == pytest.approx(scorer.fid([fakes]), rel=1e-5)
    assert scores.protocol == scorer.protocol and scores.protocol.num_fake == 440
    plain = final_scores(CONFIG, [fakes], 500, CPU)
    assert plain.fid_infinity is not None and scores.fid_infinity is not None
    assert scores.fid_infinity.fid == pytest.approx(plain.fid_infinity.fid, rel=1e-6)
    assert scores.fid > 1.5 * plain.fid
    with pytest.raises(UserError, match="over chunks of 110 images: measure at least as many"):
        final_scores(chunked, no_images(), 109, CPU)


def test_few_images_give_what_they_can(fakes: Tensor) -> None:
    scores = final_scores(CONFIG, [fakes], 2, CPU)
    assert scores.fid > 0 and scores.fid_infinity is None and scores.kid is None
    assert scores.missing[0] == "FID at infinity needs 256 images for 64 features, there are 2"
    with pytest.raises(UserError, match=r"metrics\.num_fake=1") as caught:
        final_scores(CONFIG, no_images(), 1, CPU)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": "0" * 64}, r"\(data 000000000000\.\.\. / \w{12}\.\.\.\)"),
        ({"weights_sha256": "0" * 64}, r"\(weights_sha256 000000000000\.\.\. / "),
        ({"split": "test", "seed": 1}, r"\(split test / train, seed 1 / 0\)"),
    ],
)
def test_another_searchs_protocol_is_refused_before_any_image(changes: dict[str, object], message: str) -> None:
    search = replace(scorer_for(CONFIG, CPU).protocol, **changes)
    with pytest.raises(UserError, match=message) as caught:
        final_scores(CONFIG, no_images(), 300, CPU, search)
    assert "\n" not in str(caught.value)


def test_no_batch_is_taken_that_is_not_needed(fakes: Tensor) -> None:
    batches = iter(fakes.split(100))
    scores = final_scores(CONFIG, batches, 250, CPU)
    assert len(next(batches)) == 100 and len(list(batches)) == 9
    assert scores.fid == pytest.approx(final_scores(CONFIG, [fakes[:250]], 250, CPU).fid, rel=1e-5)


def test_wrong_images_are_refused(fakes: Tensor) -> None:
    with pytest.raises(ValueError, match="200 generated images, but the protocol needs 300"):
        final_scores(CONFIG, fakes[:200].split(50), 300, CPU)
    for wrong in (fakes.float(), fakes[..., :16, :16]):
        with pytest.raises(ValueError, match="not uint8 of 32 x 32"):
            final_scores(CONFIG, [wrong], 300, CPU)


def test_a_collapsed_generator_is_measured(fakes: Tensor) -> None:
    scores = final_scores(CONFIG, [fakes[:1].expand(300, -1, -1, -1)], 300, CPU)
    assert scores.fid_infinity is not None and scores.fid_infinity.fid == pytest.approx(scores.fid, rel=1e-5)


def test_features_are_held_and_images_are_not(fakes: Tensor) -> None:
    made: list[weakref.ref[Tensor]] = []
    most = 0

    def batches() -> Iterator[Tensor]:
        nonlocal most
        for images in fakes.split(100):
            most = max(most, sum(batch() is not None for batch in made))
            images = images.clone()
            made.append(weakref.ref(images))
            yield images

    final_scores(CONFIG, batches(), 900, CPU)
    assert len(made) == 9 and most <= 2
