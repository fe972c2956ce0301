"""FID at infinity: correct for Gaussian features, whose true distance is known, and exact on a line."""

import numpy as np
import pytest
import torch
from torch import Tensor

from gansearch.errors import UserError
from gansearch.metrics.fid import Moments, frechet_distance
from gansearch.metrics.infinity import POINTS, FIDInfinity, fid_infinity, smallest_subset, too_few_images

SIZE = 32
VARIANCES = 1 / torch.arange(1, SIZE + 1).double()
REFERENCE = Moments(torch.zeros(SIZE).double(), 10**6, covariance=torch.diag(VARIANCES))
SHIFT, STRETCH = 0.05, 1.1  # of the generated features: of the mean, and of the standard deviations
TRUTH = SIZE * SHIFT**2 + float(VARIANCES.sum()) * (STRETCH - 1) ** 2


def gaussian(count: int, seed: int) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(count, SIZE, generator=rng, dtype=torch.float64) * VARIANCES.sqrt() * STRETCH + SHIFT


def test_it_is_nearer_to_the_truth_than_the_fid_of_all_images() -> None:
    features = [gaussian(1024, seed) for seed in range(12)]
    plain = np.array([frechet_distance(REFERENCE, Moments.of([one])) for one in features])
    found = [fid_infinity(REFERENCE, one) for one in features]
    ends = np.array([one.fid for one in found])
    assert abs(ends - TRUTH).mean() < abs(plain - TRUTH).mean() / 2
    # The bias is all but gone; what is left is what the images happen to be.
    assert (plain > TRUTH).all() and abs(ends.mean() - TRUTH) < (plain.mean() - TRUTH) / 5
    errors = np.array([one.standard_error for one in found])
    assert 1 < ends.std() / errors.mean() < 4


def test_the_points_are_fids_of_subsets_and_the_last_is_of_all() -> None:
    features = gaussian(1000, 0)
    found = fid_infinity(REFERENCE, features)
    sizes = [images for images, _ in found.points]
    assert len(sizes) == POINTS and sizes[0] == 100 and sizes[-1] == 1000
    assert all(64 <= step <= 65 for step in np.diff(sizes))
    assert found.points[-1][1] == pytest.approx(frechet_distance(REFERENCE, Moments.of([features])), rel=1e-9)
    assert found.points[0][1] > found.points[-1][1] > found.fid


def test_the_same_seed_gives_the_same_subsets_on_every_machine() -> None:
    features = gaussian(300, 0)
    found = [fid_infinity(REFERENCE, features, seed) for seed in (0, 0, 1, 2**63 - 1)]
    assert found[0] == found[1]
    assert len({one.fid for one in found}) == 3
    order = np.random.RandomState([0, 0]).permutation(300)
    assert order[:8].tolist() == [171, 35, 213, 286, 71, 173, 36, 84]
    first = frechet_distance(REFERENCE, Moments.of([features[order[:64]]]))
    assert found[0].points[0] == (64, pytest.approx(first, rel=1e-9))


def test_fids_on_a_line_give_it_back() -> None:
    points = [(n, 7.25 + 300 / n) for n in range(100, 1500, 100)]
    found = FIDInfinity.through(points)
    assert found.fid == pytest.approx(7.25, rel=1e-12)
    assert found.standard_error < 1e-6  # linregress computes the error from 1 - r^2, with half the digits
    assert found.points == tuple(points)


def test_the_error_is_that_of_least_squares() -> None:
    rng = np.random.RandomState(0)
    sizes = list(range(100, 1500, 100))
    lines = [
        FIDInfinity.through([(n, 7 + 300 / n + noise) for n, noise in zip(sizes, rng.normal(0, 0.1, 14), strict=True)])
        for _ in range(400)
    ]
    spread = np.std([line.fid for line in lines])
    assert np.sqrt(np.mean([line.standard_error**2 for line in lines])) == pytest.approx(spread, rel=0.1)
    # The same from the covariance matrix of the coefficients.
    points = np.array(lines[0].points)
    x = np.stack([np.ones(len(points)), 1 / points[:, 0]], 1)
    beta, (rest,), *_ = np.linalg.lstsq(x, points[:, 1], rcond=None)
    covariance = np.linalg.inv(x.T @ x) * rest / (len(x) - 2)
    assert (lines[0].fid, lines[0].standard_error) == pytest.approx((beta[0], covariance[0, 0] ** 0.5), rel=1e-9)


def test_a_collapsed_generator_is_as_far_at_infinity() -> None:
    point = torch.full((200, SIZE), 3.0)
    found = fid_infinity(REFERENCE, point)
    assert found.fid == pytest.approx(frechet_distance(REFERENCE, Moments.of([point])), rel=1e-9)
    assert found.standard_error < 1e-6


def test_the_smallest_subset_is_the_papers_where_the_paper_is() -> None:
    assert smallest_subset(50_000, 2048) == 5000
    assert smallest_subset(10_000, 2048) == 4096
    assert smallest_subset(1024, 64) == 128
    assert smallest_subset(100, 1) == POINTS


@pytest.mark.parametrize(("least", "dimensions"), [(8192, 2048), (256, 64), (30, 1), (30, 7)])
def test_too_few_images_are_refused(least: int, dimensions: int) -> None:
    reference = Moments(torch.zeros(dimensions).double(), 100, covariance=torch.eye(dimensions).double())
    message = f"FID at infinity needs {least:,} images for {dimensions:,} features, there are {least - 1:,}"
    assert too_few_images(least - 1, dimensions) == message and too_few_images(least, dimensions) is None
    with pytest.raises(UserError, match=f"^{message}: generate more$"):
        fid_infinity(reference, torch.zeros(least - 1, dimensions))


def test_just_enough_images_have_sizes_that_all_differ() -> None:
    reference = Moments(torch.zeros(1).double(), 100, covariance=torch.ones(1, 1).double())
    found = fid_infinity(reference, torch.randn(30, 1, generator=torch.Generator().manual_seed(0)))
    assert [images for images, _ in found.points] == sorted({images for images, _ in found.points})


def test_a_line_needs_three_points() -> None:
    with pytest.raises(UserError, match="3 numbers of images"):
        FIDInfinity.through([(10, 1.0), (20, 0.5), (20, 0.6)])


def test_features_that_are_no_numbers_are_refused() -> None:
    features = gaussian(200, 0)
    features[:, 3] = float("nan")
    with pytest.raises(ValueError, match="not finite"):
        fid_infinity(REFERENCE, features)
