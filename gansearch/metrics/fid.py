"""The FID of features: their moments, the Frechet distance between two sets, and the mean over chunks, in float64.

Dowson & Landau 1982, "The Frechet distance between multivariate normal distributions"; as a measure of GANs: Heusel
et al. 2017, "GANs trained by a two time-scale update rule converge to a local Nash equilibrium" (FID).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Any, Self

import torch
from torch import Tensor


class Moments:
    """The mean (D,) and the unbiased covariance (D, D) of `count` features, in float64.

    For fewer features than dimensions, `factor` (count, D) is stored in place of the covariance: the centred features
    divided by sqrt(count - 1). The covariance is factor.T @ factor; the factor is smaller and faster to compute with.
    """

    def __init__(
        self, mean: Tensor, count: int, *, covariance: Tensor | None = None, factor: Tensor | None = None
    ) -> None:
        """Takes either the covariance or a factor of the covariance.

        Raises:
            ValueError: If a shape or dtype is wrong, a value is not finite, or `count` is below 2.
        """
        size = mean.numel()
        matrix, rows = (covariance, size) if factor is None else (factor, min(count, size))
        if matrix is None or mean.shape != (size,) or matrix.shape != (rows, size):
            raise ValueError(f"moments of shapes {tuple(mean.shape)} and {matrix if matrix is None else matrix.shape}")
        if mean.dtype != torch.float64 or matrix.dtype != torch.float64:
            raise ValueError("moments must be float64")
        if count < 2:
            raise ValueError(f"a covariance needs at least 2 features, not {count}")
        if not (mean.isfinite().all() and matrix.isfinite().all()):
            raise ValueError("the features are not finite")
        self.mean, self.count, self.factor = mean, count, factor
        if covariance is not None:
            self.covariance = covariance

    def __getstate__(self) -> dict[str, Any]:
        """Returns what was measured, without the matrices that follow from it.

        Another process computes these again: with another number of threads their last digits differ, and a trial would
        have other FIDs where its driver happened to have computed them before.
        """
        computed = {"sqrt"} | ({"covariance"} if self.factor is not None else set())
        return {name: value for name, value in vars(self).items() if name not in computed}

    @classmethod
    def of(cls, batches: Iterable[Tensor]) -> Self:
        """Computes the moments of all features in `batches`, each (N, D), on the device of the features.

        The memory needed does not grow with the number of batches. Blocks of at least D features are merged by the
        update of Chan, Golub & LeVeque 1979, which loses no digits to a large mean.

        Raises:
            ValueError: If there are fewer than 2 features, or a feature is not finite.
        """
        total: _RunningMoments | None = None
        pending: list[Tensor] = []
        for batch in batches:
            pending.append(batch.detach())
            if sum(map(len, pending)) >= batch.shape[1]:
                block = _RunningMoments.of(pending)
                total = block if total is None else total.merged(block)
                pending = []
        if total is None:
            count = sum(map(len, pending))
            if count < 2:
                raise ValueError(f"a covariance needs at least 2 features, not {count}")
            features = torch.cat(pending).double()
            mean = features.mean(0)
            return cls(mean, count, factor=(features - mean) / (count - 1) ** 0.5)
        if pending:
            total = total.merged(_RunningMoments.of(pending))
        return cls(total.mean, total.count, covariance=total.scatter / max(1, total.count - 1))

    @cached_property
    def covariance(self) -> Tensor:
        """The unbiased covariance (D, D); computed from the factor where that is stored."""
        assert self.factor is not None
        return self.factor.T @ self.factor

    @property
    def covariance_trace(self) -> Tensor:
        """The trace of the covariance, a scalar."""
        return self.covariance.trace() if self.factor is None else self.factor.square().sum()

    @cached_property
    def sqrt(self) -> Tensor:
        """The upper triangular matrix R (D, D) with R.T @ R = covariance.

        R comes from an eigendecomposition: a Cholesky decomposition fails where the covariance is singular.
        """
        values, vectors = torch.linalg.eigh(self.covariance)
        return torch.linalg.qr((vectors * values.clamp(min=0).sqrt()).T, mode="r").R

    def to(self, device: torch.device) -> "Moments":
        """Returns these moments on `device`."""
        if self.mean.device == device:
            return self
        if self.factor is not None:
            return Moments(self.mean.to(device), self.count, factor=self.factor.to(device))
        return Moments(self.mean.to(device), self.count, covariance=self.covariance.to(device))


@dataclass(frozen=True, eq=False)
class _RunningMoments:
    """The mean of `count` features and their scatter matrix: the sum of the outer products of the centred features."""

    count: int
    mean: Tensor
    scatter: Tensor

    @classmethod
    def of(cls, batches: Sequence[Tensor]) -> Self:
        features = torch.cat(list(batches)).double()
        mean = features.mean(0)
        centred = features - mean
        return cls(len(features), mean, centred.T @ centred)

    def merged(self, other: "_RunningMoments") -> "_RunningMoments":
        count = self.count + other.count
        delta = other.mean - self.mean
        scatter = self.scatter + other.scatter + torch.outer(delta, delta) * (self.count * other.count / count)
        return _RunningMoments(count, self.mean + delta * (other.count / count), scatter)


def frechet_distance(reference: Moments, other: Moments) -> float:
    """Computes |m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^1/2, at least 0.

    The eigenvalues of S1 S2 are those of R S2 R' for R'R = S1. That matrix is symmetric and positive semi-definite, so
    the distance is real and finite also where S1 S2 is singular (few images, a collapsed generator).

    Args:
        reference: The moments m1 and S1. R is computed once and stored here: pass the moments that stay the same.
        other: The moments m2 and S2, on any device.

    Raises:
        ValueError: If the features differ in dimension, or the distance is not finite.
    """
    if reference.mean.shape != other.mean.shape:
        raise ValueError(f"features of {reference.mean.numel()} and of {other.mean.numel()} dimensions")
    other = other.to(reference.mean.device)
    cross = torch.linalg.eigvalsh(_symmetric_product(reference, other), UPLO="U").clamp(min=0).sqrt().sum()
    delta = reference.mean - other.mean
    distance = (delta @ delta + reference.covariance_trace + other.covariance_trace - 2 * cross).item()
    if not math.isfinite(distance):
        raise ValueError("the features are too large for a Frechet distance")
    # Rounding may bring the distance of two equal sets below zero.
    return max(0.0, distance)


def fid_over_chunks(reference: Sequence[Moments], chunks: Iterable[Iterable[Tensor]]) -> float:
    """Computes an FID as a protocol defines it: the mean over chunks of the Frechet distance to the reference chunks.

    Args:
        reference: The moments of the reference chunks; a single one where the FID is of all images at once.
        chunks: The chunks to compare, each as batches of features (N, D). The first is compared with the first
            reference chunk, and so on; chunks or reference chunks that are left over are ignored.

    Raises:
        ValueError: If features are not finite, too large, or of another dimension than the reference.
    """
    return fmean(frechet_distance(real, Moments.of(fake)) for real, fake in zip(reference, chunks, strict=False))


def _symmetric_product(reference: Moments, other: Moments) -> Tensor:
    """Returns a symmetric matrix with the non-zero eigenvalues of S1 S2, of which only the upper triangle is valid."""
    if reference.factor is not None and other.factor is not None:
        product = other.factor @ reference.factor.T
        return product @ product.T
    if other.factor is not None:
        return other.factor @ reference.covariance @ other.factor.T
    if reference.factor is not None:
        return reference.factor @ other.covariance @ reference.factor.T
    # R S R' by halves. R is zero below the diagonal and the result is symmetric: 9 products in place of 16.
    R, S, half = reference.sqrt, other.covariance, len(other.covariance) // 2
    upper, corner = R[:half] @ S, R[half:, half:]
    product = torch.zeros_like(S)
    product[:half, :half] = upper @ R[:half].T
    product[:half, half:] = upper[:, half:] @ corner.T
    product[half:, half:] = corner @ S[half:, half:] @ corner.T
    return product
