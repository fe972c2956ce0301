"""The Frechet distance against closed forms, against torch-fidelity, and under transformations of the features."""

import pickle
import weakref
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_statistics_to_metric

from gansearch.metrics.fid import Moments, frechet_distance

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 12)


def draw(n: int, size: int, seed: int = 0, scale: float = 1.0, shift: float = 0.0) -> Tensor:
    """Returns correlated features, float64 (n, size), of full rank where n > size."""
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(size, size, generator=generator, dtype=torch.float64)
    return (torch.randn(n, size, generator=generator, dtype=torch.float64) @ mix) * scale + shift


def gaussian(mean: list[float], variances: list[float]) -> Moments:
    return Moments(torch.tensor(mean).double(), 100, covariance=torch.diag(torch.tensor(variances).double()))


def test_diagonal_gaussians_follow_the_closed_form() -> None:
    a, b = gaussian([0, 1, 2], [1, 4, 9]), gaussian([3, 1, -2], [16, 0.25, 9])
    assert frechet_distance(a, b) == pytest.approx((9 + 0 + 16) + (1 - 4) ** 2 + (2 - 0.5) ** 2 + 0, rel=1e-12)


def test_a_common_rotation_changes_nothing() -> None:
    a, b = draw(200, 6, seed=1), draw(200, 6, seed=2)
    rotation, _ = torch.linalg.qr(draw(6, 6, seed=3))
    rotated = frechet_distance(Moments.of([a @ rotation]), Moments.of([b @ rotation]))
    assert rotated == pytest.approx(frechet_distance(Moments.of([a]), Moments.of([b])), rel=1e-9)


def test_it_is_torch_fidelitys_distance_at_full_rank() -> None:
    a, b = draw(500, 32, seed=1), draw(400, 32, seed=2, shift=0.3)
    theirs = fid_statistics_to_metric(*({"mu": x.numpy().mean(0), "sigma": np.cov(x.numpy().T)} for x in (a, b)), False)
    assert frechet_distance(Moments.of([a]), Moments.of([b])) == pytest.approx(theirs[KEY_METRIC_FID], rel=1e-9)


@settings(max_examples=30)
@given(seed=seeds, size=sizes, n=st.integers(2, 40))
def test_it_is_symmetric_and_zero_for_equals(seed: int, size: int, n: int) -> None:
    a, b = Moments.of([draw(n, size, seed)]), Moments.of([draw(n + 3, size, seed + 1)])
    scale = float(a.covariance.trace() + b.covariance.trace())
    assert abs(frechet_distance(a, b) - frechet_distance(b, a)) <= 1e-6 * scale
    assert frechet_distance(a, a) <= 1e-6 * scale


@settings(max_examples=30)
@given(seed=seeds, size=sizes, by=st.floats(0.1, 10), shift=st.floats(-100, 100))
def test_it_scales_with_the_square_and_ignores_a_common_shift(seed: int, size: int, by: float, shift: float) -> None:
    a, b = draw(60, size, seed), draw(60, size, seed + 1, shift=0.5)
    plain = frechet_distance(Moments.of([a]), Moments.of([b]))
    moved = frechet_distance(Moments.of([a * by + shift]), Moments.of([b * by + shift]))
    assert moved == pytest.approx(plain * by**2, rel=1e-6)


@settings(max_examples=30)
@given(seed=seeds, size=sizes, shift=st.floats(-100, 100))
def test_moving_one_set_adds_the_squared_length(seed: int, size: int, shift: float) -> None:
    a = draw(60, size, seed)
    distance = frechet_distance(Moments.of([a]), Moments.of([a + shift]))
    assert distance == pytest.approx(size * shift**2, rel=1e-6, abs=1e-6 * float(a.var(0).sum()))


@settings(max_examples=30)
@given(seed=seeds, batches=st.lists(st.integers(0, 17), min_size=1, max_size=12), offset=st.floats(-1e6, 1e6))
def test_streaming_does_not_depend_on_the_batches(seed: int, batches: list[int], offset: float) -> None:
    features = draw(sum(batches) + 2, 5, seed) + offset
    streamed = Moments.of(features.split([*batches, 2]))
    assert streamed.count == len(features)
    torch.testing.assert_close(streamed.mean, features.mean(0), rtol=1e-12, atol=1e-9)
    torch.testing.assert_close(streamed.covariance, torch.atleast_2d(torch.cov(features.T)), rtol=1e-6, atol=1e-8)


def test_streaming_a_large_mean_loses_nothing() -> None:
    features = draw(1000, 4, seed=5)
    far = Moments.of((features + 1e6).split(10))
    torch.testing.assert_close(far.covariance, Moments.of([features]).covariance, rtol=1e-7, atol=1e-9)


def test_float32_features_are_summed_in_float64() -> None:
    features = (draw(4096, 3, seed=6) + 1000).float()
    torch.testing.assert_close(
        Moments.of(features.split(64)).covariance, torch.cov(features.double().T), rtol=1e-10, atol=0
    )


def test_a_collapsed_generator_is_far_but_finite() -> None:
    reference = Moments.of([draw(100, 8)])
    point = torch.full((50, 8), 3.0)
    expected = (reference.mean - 3).square().sum() + reference.covariance.trace()
    assert frechet_distance(reference, Moments.of([point])) == pytest.approx(expected.item(), rel=1e-9)
    assert frechet_distance(Moments.of([point]), reference) == pytest.approx(expected.item(), rel=1e-9)
    assert frechet_distance(Moments.of([point]), Moments.of([point])) == 0


def test_fewer_images_than_dimensions_are_measured_correctly() -> None:
    wide, basis = draw(10, 3, seed=1), torch.linalg.qr(draw(64, 64, seed=2))[0][:3]
    other = draw(12, 3, seed=4)
    small = frechet_distance(Moments.of([wide]), Moments.of([other]))
    assert frechet_distance(Moments.of([wide @ basis]), Moments.of([other @ basis])) == pytest.approx(small, rel=1e-6)


@settings(max_examples=30)
@given(seed=seeds, size=st.integers(2, 24), n=st.integers(2, 40), shift=st.floats(-10, 10))
def test_a_factor_gives_the_distance_of_the_covariance(seed: int, size: int, n: int, shift: float) -> None:
    reference, features = Moments.of([draw(80, size, seed)]), draw(n, size, seed + 1, shift=shift)
    found = Moments.of(features.split(3))
    assert (found.factor is None) == (n >= size) and (found.factor is None or len(found.factor) == n)
    whole = Moments(features.mean(0), n, covariance=torch.cov(features.T))
    torch.testing.assert_close(found.covariance, whole.covariance, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found.covariance_trace, whole.covariance.trace(), rtol=1e-9, atol=1e-9)
    expected = frechet_distance(reference, whole)
    assert frechet_distance(reference, found) == pytest.approx(
        expected, rel=1e-6, abs=1e-6 * float(whole.covariance_trace)
    )
    assert frechet_distance(found, reference) == pytest.approx(
        expected, rel=1e-6, abs=1e-6 * float(whole.covariance_trace)
    )


def test_streaming_frees_the_batches_it_has_read() -> None:
    alive = most = 0

    def gone() -> None:
        nonlocal alive
        alive -= 1

    def batches() -> Iterator[Tensor]:
        nonlocal alive, most
        for seed in range(100):
            batch = draw(5, 20, seed)
            weakref.finalize(batch, gone)
            alive += 1
            most = max(most, alive)
            yield batch

    assert Moments.of(batches()).count == 500
    assert most <= 20 / 5 + 2


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_features_that_are_not_finite_never_give_a_number(bad: float) -> None:
    features = draw(20, 4)
    features[13, 2] = bad
    with pytest.raises(ValueError, match="not finite"):
        Moments.of(features.split(6))


def test_invalid_moments_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        Moments.of([draw(1, 4)])
    with pytest.raises(ValueError, match="at least 2"):
        Moments.of([])
    with pytest.raises(ValueError, match="4 and of 5 dimensions"):
        frechet_distance(Moments.of([draw(9, 4)]), Moments.of([draw(9, 5)]))
    one = torch.eye(1, dtype=torch.float64)
    with pytest.raises(ValueError, match="too large"):
        frechet_distance(gaussian([0.0], [1.0]), Moments(torch.tensor([1e200], dtype=torch.float64), 2, covariance=one))
    with pytest.raises(ValueError, match="float64"):
        Moments(torch.zeros(2), 5, covariance=torch.eye(2))
    with pytest.raises(ValueError, match="shapes"):
        Moments(torch.zeros(2).double(), 5)
    with pytest.raises(ValueError, match="shapes"):
        Moments(torch.zeros(2).double(), 5, covariance=torch.zeros(5, 2).double())


@pytest.mark.parametrize("count", [5, 50])
def test_another_process_computes_what_follows_from_the_moments_by_itself(count: int) -> None:
    """With other threads the last digits differ: a trial must not depend on what its driver has computed."""
    moments = Moments.of([torch.randn(count, 8, generator=torch.Generator().manual_seed(0))])
    stored = set(vars(moments))
    moments.sqrt  # noqa: B018 - cached from here on
    again = pickle.loads(pickle.dumps(moments))
    assert set(vars(again)) == stored and set(vars(moments)) > stored
    assert torch.equal(again.sqrt, moments.sqrt)
