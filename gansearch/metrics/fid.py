"""The Frechet distance between two sets of features, in float64, and the moments that it needs.

Dowson & Landau 1982, "The Frechet distance between multivariate normal distributions"; as a measure of GANs: Heusel
et al. 2017, "GANs trained by a two time-scale update rule converge to a local Nash equilibrium" (FID).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean (D,) and spread, float64, of `count` features; ValueError if they are not finite.

    `spread` is the unbiased covariance (D, D). For fewer features than dimensions, it is (count, D) in its place: the
    centred features over the root of count - 1, which are smaller and have the covariance as their Gram matrix.
    """

    mean: Tensor
    spread: Tensor
    count: int

    def __post_init__(self) -> None:
        size = self.mean.numel()
        if self.mean.shape != (size,) or self.spread.shape not in {(size, size), (min(self.count, size), size)}:
            raise ValueError(f"moments of shapes {tuple(self.mean.shape)} and {tuple(self.spread.shape)}")
        if self.mean.dtype != torch.float64 or self.spread.dtype != torch.float64:
            raise ValueError("moments must be float64")
        if self.count < 2:
            raise ValueError(f"a covariance needs at least 2 features, not {self.count}")
        if not (self.mean.isfinite().all() and self.spread.isfinite().all()):
            raise ValueError("the features are not finite")

    @classmethod
    def of(cls, batches: Iterable[Tensor]) -> Self:
        """The moments of all features in `batches`, each (N, D), on their device; memory does not grow with N.

        Blocks of D features or more are merged by the update of Chan, Golub & LeVeque 1979, which loses no digits to a
        large mean.
        """
        total: _Sums | None = None
        waiting: list[Tensor] = []
        for batch in batches:
            waiting.append(batch.detach())
            if sum(map(len, waiting)) >= batch.shape[1]:
                own = _Sums.of(waiting)
                total = own if total is None else total.merged(own)
                waiting = []
        if total is None:
            count = sum(map(len, waiting))
            if count < 2:
                raise ValueError(f"a covariance needs at least 2 features, not {count}")
            features = torch.cat(waiting).double()
            mean = features.mean(0)
            return cls(mean, (features - mean) / (count - 1) ** 0.5, count)
        if waiting:
            total = total.merged(_Sums.of(waiting))
        return cls(total.mean, total.scatter / max(1, total.count - 1), total.count)

    @property
    def few(self) -> bool:
        """Whether `spread` holds features, not a covariance."""
        return len(self.spread) < self.mean.numel()

    @cached_property
    def cov(self) -> Tensor:
        """The unbiased covariance (D, D)."""
        return self.spread.T @ self.spread if self.few else self.spread

    @property
    def variance(self) -> Tensor:
        """The trace of the covariance."""
        return self.spread.square().sum() if self.few else self.spread.trace()

    @cached_property
    def root(self) -> Tensor:
        """The upper triangular R of R'R = covariance, computed once; from eigenvalues, since it may be singular."""
        values, vectors = torch.linalg.eigh(self.cov)
        return torch.linalg.qr((vectors * values.clamp(min=0).sqrt()).T, mode="r").R

    def to(self, device: torch.device) -> "Moments":
        """These moments on `device`."""
        if self.mean.device == device:
            return self
        return Moments(self.mean.to(device), self.spread.to(device), self.count)


@dataclass(frozen=True, eq=False)
class _Sums:
    """The mean of features and the sum of the outer products of what differs from it."""

    count: int
    mean: Tensor
    scatter: Tensor

    @classmethod
    def of(cls, batches: Sequence[Tensor]) -> Self:
        features = torch.cat(list(batches)).double()
        mean = features.mean(0)
        centred = features - mean
        return cls(len(features), mean, centred.T @ centred)

    def merged(self, other: "_Sums") -> "_Sums":
        count = self.count + other.count
        delta = other.mean - self.mean
        scatter = self.scatter + other.scatter + torch.outer(delta, delta) * (self.count * other.count / count)
        return _Sums(count, self.mean + delta * (other.count / count), scatter)


def frechet_distance(reference: Moments, other: Moments) -> float:
    """|m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^1/2, at least 0.

    The eigenvalues of S1 S2 are those of R S2 R' for R'R = S1, a symmetric positive semi-definite matrix, so that the
    distance is real and finite where S1 S2 is singular (few images, a collapsed generator). `reference` keeps its R:
    give the moments that stay the same first. ValueError where the sizes differ or the distance is not finite.
    """
    if reference.mean.shape != other.mean.shape:
        raise ValueError(f"features of {reference.mean.numel()} and of {other.mean.numel()} dimensions")
    other = other.to(reference.mean.device)
    cross = torch.linalg.eigvalsh(_product(reference, other), UPLO="U").clamp(min=0).sqrt().sum()
    delta = reference.mean - other.mean
    distance = (delta @ delta + reference.variance + other.variance - 2 * cross).item()
    if not math.isfinite(distance):
        raise ValueError("the features are too large for a Frechet distance")
    # Two equal sets differ by rounding, which may fall below zero.
    return max(0.0, distance)


def _product(reference: Moments, other: Moments) -> Tensor:
    """A symmetric matrix with the eigenvalues of the covariances' product but for zeros; its upper half counts."""
    if reference.few and other.few:
        common = other.spread @ reference.spread.T
        return common @ common.T
    for small, whole in ((other, reference), (reference, other)):
        if small.few:  # its features are a root of its covariance, and a smaller one
            return small.spread @ whole.cov @ small.spread.T
    # R S R' by halves, where R has zeros below its diagonal and the result is symmetric: 9 products in place of 16.
    R, S, half = reference.root, other.cov, len(other.cov) // 2
    upper, corner = R[:half] @ S, R[half:, half:]
    product = torch.zeros_like(S)
    product[:half, :half] = upper @ R[:half].T
    product[:half, half:] = upper[:, half:] @ corner.T
    product[half:, half:] = corner @ S[half:, half:] @ corner.T
    return product
