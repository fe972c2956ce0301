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
        """The symmetric square root of the covariance, computed once."""
        values, vectors = torch.linalg.eigh(self.cov)
        return (vectors * values.clamp(min=0).sqrt()) @ vectors.T

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
    """|m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1^1/2 S2 S1^1/2)^1/2, at least 0.

    The symmetric form needs eigenvalues of symmetric positive semi-definite matrices only, so that it is real and
    finite where S1 S2 is singular (few images, a collapsed generator). It takes the root of `reference`, which keeps
    it: give the moments that stay the same first. Where `other` has fewer images than dimensions, X of S2 = X'X, the
    same eigenvalues are those of the smaller X S1 X'. ValueError where the sizes differ or the distance is not finite.
    """
    if reference.mean.shape != other.mean.shape:
        raise ValueError(f"features of {reference.mean.numel()} and of {other.mean.numel()} dimensions")
    other = other.to(reference.mean.device)
    if other.few:
        product = other.spread @ reference.cov @ other.spread.T
    else:
        product = reference.root @ other.cov @ reference.root
    cross = torch.linalg.eigvalsh((product + product.T) / 2).clamp(min=0).sqrt().sum()
    delta = reference.mean - other.mean
    distance = (delta @ delta + reference.variance + other.variance - 2 * cross).item()
    if not math.isfinite(distance):
        raise ValueError("the features are too large for a Frechet distance")
    # Two equal sets differ by rounding, which may fall below zero.
    return max(0.0, distance)
