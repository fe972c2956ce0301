"""The Frechet distance between two sets of features, in float64, and the moments that it needs.

Dowson & Landau 1982, "The Frechet distance between multivariate normal distributions"; as a measure of GANs: Heusel
et al. 2017, "GANs trained by a two time-scale update rule converge to a local Nash equilibrium" (FID).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean (D,) and unbiased covariance (D, D), float64, of `count` features; ValueError if they are not finite."""

    mean: Tensor
    cov: Tensor
    count: int

    def __post_init__(self) -> None:
        size = self.mean.numel()
        if self.mean.shape != (size,) or self.cov.shape != (size, size):
            raise ValueError(f"moments of shapes {tuple(self.mean.shape)} and {tuple(self.cov.shape)}")
        if self.mean.dtype != torch.float64 or self.cov.dtype != torch.float64:
            raise ValueError("moments must be float64")
        if self.count < 2:
            raise ValueError(f"a covariance needs at least 2 features, not {self.count}")
        if not (self.mean.isfinite().all() and self.cov.isfinite().all()):
            raise ValueError("the features are not finite")

    @classmethod
    def of(cls, batches: Iterable[Tensor]) -> Self:
        """The moments of all features in `batches`, each (N, D), on their device; memory does not grow with N.

        Batches are merged by the update of Chan, Golub & LeVeque 1979, which loses no digits to a large mean.
        """
        count, mean, scatter = 0, None, None
        for batch in batches:
            wide = batch.detach().double()
            n = len(wide)
            if n == 0:
                continue
            own_mean = wide.mean(0)
            centred = wide - own_mean
            own_scatter = centred.T @ centred
            if mean is None or scatter is None:
                count, mean, scatter = n, own_mean, own_scatter
                continue
            delta = own_mean - mean
            scatter += own_scatter + torch.outer(delta, delta) * (count * n / (count + n))
            mean = mean + delta * (n / (count + n))
            count += n
        if mean is None or scatter is None or count < 2:
            raise ValueError(f"a covariance needs at least 2 features, not {count}")
        return cls(mean, scatter / (count - 1), count)

    @cached_property
    def root(self) -> Tensor:
        """The symmetric square root of the covariance, computed once."""
        values, vectors = torch.linalg.eigh(self.cov)
        return (vectors * values.clamp(min=0).sqrt()) @ vectors.T

    def to(self, device: torch.device) -> "Moments":
        """These moments on `device`."""
        return self if self.mean.device == device else Moments(self.mean.to(device), self.cov.to(device), self.count)


def frechet_distance(reference: Moments, other: Moments) -> float:
    """|m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1^1/2 S2 S1^1/2)^1/2, at least 0.

    The symmetric form needs eigenvalues of symmetric positive semi-definite matrices only, so that it is real and
    finite where S1 S2 is singular (few images, a collapsed generator). It takes the root of `reference`, which keeps
    it: give the moments that stay the same first. ValueError where the sizes differ or the distance is not finite.
    """
    if reference.mean.shape != other.mean.shape:
        raise ValueError(f"features of {reference.mean.numel()} and of {other.mean.numel()} dimensions")
    other = other.to(reference.mean.device)
    product = reference.root @ other.cov @ reference.root
    cross = torch.linalg.eigvalsh((product + product.T) / 2).clamp(min=0).sqrt().sum()
    delta = reference.mean - other.mean
    distance = (delta @ delta + reference.cov.trace() + other.cov.trace() - 2 * cross).item()
    if not torch.tensor(distance).isfinite():
        raise ValueError("the features are too large for a Frechet distance")
    # Two equal sets differ by rounding, which may fall below zero.
    return max(0.0, distance)
