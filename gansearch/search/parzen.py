"""A density over parameters: the mean of one kernel for each trial, as tree-structured Parzen estimators have it.

Bergstra et al. 2011, "Algorithms for Hyper-Parameter Optimization", with multivariate kernels (Falkner et al. 2018,
https://arxiv.org/abs/1807.01774).
"""

from collections.abc import Iterator

import numpy as np
from scipy.special import logsumexp, ndtr, ndtri

from gansearch.search.unit_cube import Points, UnitCube

_PRIOR_WIDTH = 1.0
_NARROWEST = 0.02


class Density:
    """Kernels around points: truncated normal distributions on [0, 1], and categories that keep their value mostly.

    One kernel more, in the middle and wide, is the prior. Where a parameter does not apply its kernel is even.
    """

    def __init__(self, cube: UnitCube, points: Points, width: float, stray: float) -> None:
        """`width` is the standard deviation of a kernel, `stray` the chance that a category is drawn anew."""
        self._sizes = cube.sizes
        prior = np.where(self._sizes > 0, np.nan, 0.5)
        self._centers = np.vstack([points, prior])
        self._widths = np.append(np.full(len(points), max(width, _NARROWEST)), _PRIOR_WIDTH)
        self._stray = stray

    def sample(self, count: int, rng: np.random.Generator) -> Points:
        """Draws points, shape (count, P), with a value for every parameter, also where it does not apply."""
        chosen = rng.integers(len(self._centers), size=count)
        centers, widths = self._centers[chosen], self._widths[chosen, None]
        even = rng.random(centers.shape)
        low, high = ndtr((0 - centers) / widths), ndtr((1 - centers) / widths)
        numbers = np.clip(centers + widths * ndtri(low + even * (high - low)), 0.0, 1.0)
        strays = rng.random(centers.shape) < self._stray
        categories = np.where(strays | np.isnan(centers), np.floor(even * self._sizes), centers)
        numbers = np.where(np.isnan(numbers), even, numbers)
        return np.where(self._sizes > 0, categories, numbers)

    def log_density(self, points: Points) -> np.ndarray:
        """Returns the logarithm of the density at points of shape (N, P), shape (N,)."""
        return logsumexp(sum(self._factors(points)), axis=1) - np.log(len(self._centers))

    def _factors(self, points: Points) -> Iterator[np.ndarray]:
        for column, size in enumerate(self._sizes):
            x, centers = points[:, column, None], self._centers[None, :, column]
            if size:
                same = (1 - self._stray) * (x == centers) + self._stray / size
                factor = np.log(np.where(np.isnan(centers), 1 / size, same))
            else:
                widths = self._widths[None, :]
                mass = ndtr((1 - centers) / widths) - ndtr((0 - centers) / widths)
                factor = -0.5 * ((x - centers) / widths) ** 2 - np.log(np.sqrt(2 * np.pi) * widths * mass)
                factor = np.where(np.isnan(centers), 0.0, factor)
            yield np.where(np.isnan(x), 0.0, factor)
