"""Hartmann functions with fidelities, as searches of a GAN: a number of the unit cube is a learning rate or the like.

The fidelities are those of MF-Hartmann in mf-prior-bench (https://github.com/automl/mf-prior-bench,
`mfpbench/synthetic/hartmann`), after Kandasamy et al. 2017 (https://arxiv.org/abs/1703.06240). At fidelity z from 1 to
100, with r = 1 - log(z) / log(100), the function is

    -sum_i (alpha_i - bias * r^2) * exp(-sum_j A_ij * (x_j - P_ij)^2) + noise * r * N(0, 1).

Good fidelities have bias 2.5 and noise 2, bad ones 3.5 and 4. At full length there is neither bias nor noise.
Evaluation e of E has z = 100 * e / E.
"""

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from optuna.distributions import CategoricalDistribution, FloatDistribution

from benchmarks.search_replay.problem import Curve, Floats, Objective, unit
from gansearch.config import TrialConfig
from gansearch.run.space import Space, When

GOOD, BAD = (2.5, 2.0), (3.5, 4.0)  # bias and noise
LEVEL = 30.0  # is added to the function, which makes a FID of it; far above what noise takes away
_DRAWS = 10_001
_KIMG = 1.6  # between two evaluations: whole batches

_ALPHA = np.array([1.0, 1.2, 3.0, 3.2])


@dataclass(frozen=True)
class Hartmann:
    """The constants of a Hartmann function (Dixon and Szegő 1978; https://www.sfu.ca/~ssurjano/hart6.html).

    Args:
        A: Shape (4, dimensions).
        P: Shape (4, dimensions).
        best: Where the function is lowest, shape (dimensions,).
        lowest: The value there.
    """

    A: Floats
    P: Floats
    best: tuple[float, ...]
    lowest: float


HARTMANN_3 = Hartmann(
    A=np.array([[3.0, 10.0, 30.0], [0.1, 10.0, 35.0], [3.0, 10.0, 30.0], [0.1, 10.0, 35.0]]),
    P=np.array([[3689, 1170, 2673], [4699, 4387, 7470], [1091, 8732, 5547], [381, 5743, 8828]]) * 1e-4,
    best=(0.11458888, 0.5556489, 0.85254698),
    lowest=-3.862779787332663,
)
HARTMANN_6 = Hartmann(
    A=np.array(
        [
            [10.0, 3.0, 17.0, 3.5, 1.7, 8.0],
            [0.05, 10.0, 17.0, 0.1, 8.0, 14.0],
            [3.0, 3.5, 1.7, 10.0, 17.0, 8.0],
            [17.0, 8.0, 0.05, 10.0, 0.1, 14.0],
        ]
    ),
    P=np.array(
        [
            [1312, 1696, 5569, 124, 8283, 5886],
            [2329, 4135, 8307, 3736, 1004, 9991],
            [2348, 1451, 3522, 2883, 3047, 6650],
            [4047, 8828, 8732, 5743, 1091, 381],
        ]
    )
    * 1e-4,
    best=(0.20168951, 0.15001069, 0.47687397, 0.27533243, 0.31165162, 0.65730053),
    lowest=-3.3223680114155147,
)

_PARAMETERS: dict[str, Any] = {
    "optim.g_lr": FloatDistribution(5e-5, 1e-3, log=True),
    "optim.d_lr": FloatDistribution(5e-5, 1e-3, log=True),
    "optim.beta1": FloatDistribution(0.0, 0.6),
    "model.leaky_slope": FloatDistribution(0.0, 0.3),
    "optim.beta2": FloatDistribution(0.9, 0.999),
    "replay.fraction": FloatDistribution(0.1, 1.0),
}
_CONDITIONAL: dict[str, Any] = {
    **{path: values for path, values in _PARAMETERS.items() if path != "replay.fraction"},
    "loss.name": CategoricalDistribution(["bce", "hinge", "wgan"]),
    "loss.clip": When("loss.name", "wgan", FloatDistribution(0.005, 0.1, log=True)),
}
# The sixth coordinate where the loss has no clipping. The lowest values there are -3.04 and -2.37: the category alone
# tells good from bad, but the optimum needs the conditional parameter.
_WITHOUT_CLIP = {"bce": 0.1, "hinge": 0.45}
# A fifth of the cube. It holds the function's second basin, with -3.20 at (0.40, 0.88, 0.85, 0.57, 0.14, 0.04), so at
# every fidelity before trials diverge it is as promising as the basin of the optimum.
_DIVERGES = ("optim.d_lr", 0.8)


@dataclass(frozen=True)
class MFHartmann:
    """A search whose FIDs are a Hartmann function with fidelities; a `Problem`.

    Args:
        hartmann: The function.
        bias: How much the function is flattened at low fidelity.
        noise: The standard deviation of the noise at low fidelity.
        params: The parameters. Those that are numbers are the coordinates, in this order.
        instead: The last coordinate by `loss.name`, where the last parameter does not apply.
        diverges: A parameter and where, on a scale from 0 to 1, trials begin to diverge. They do so after two thirds
            of the evaluations at the earliest, and before the last one.
        evaluations: The evaluations of a full training.
    """

    hartmann: Hartmann
    bias: float
    noise: float
    params: Mapping[str, Any]
    instead: Mapping[str, float] = field(default_factory=dict)
    diverges: tuple[str, float] | None = None
    evaluations: int = 9

    @cached_property
    def space(self) -> Space:
        length = {"train.evaluations": self.evaluations, "train.max_kimg": self.evaluations * _KIMG}
        return Space(base=TrialConfig().override(length), params=dict(self.params))

    @property
    def optimum(self) -> float:
        return LEVEL + self.hartmann.lowest

    @cached_property
    def typical(self) -> float:
        """The median over the unit cube. Categories and divergence shift it little and are left out."""
        cube = np.random.default_rng(0).random((_DRAWS, self.hartmann.A.shape[1]))
        return float(np.median(self._expected(cube)[:, -1]))

    def objective(self, seed: int) -> Objective:
        def train(params: Mapping[str, Any]) -> Curve:
            x = self.coordinates(params)
            # The noise belongs to seed and configuration, so it is the same whoever proposes the configuration.
            rng = np.random.default_rng([seed, zlib.crc32(x.tobytes())])
            fids = self._expected(x) + self.noise * self._distance * rng.standard_normal(self.evaluations)
            if not self._diverges(params):
                return Curve(fids, value=float(fids[-1]))
            last = rng.integers(math.ceil(2 / 3 * self.evaluations), self.evaluations)
            return Curve(fids[:last], value=LEVEL)

        return train

    def coordinates(self, params: Mapping[str, Any]) -> Floats:
        """Returns parameters as a point of the unit cube, shape (dimensions,)."""
        numbers = [path for path, one in self.space.params.items() if not one.domain.is_categorical]
        x = [unit(self.space.params[path].domain, params[path]) for path in numbers if path in params]
        return np.array(x if len(x) == len(numbers) else [*x, self.instead[params["loss.name"]]])

    def _diverges(self, params: Mapping[str, Any]) -> bool:
        if self.diverges is None:
            return False
        path, threshold = self.diverges
        return unit(self.space.params[path].domain, params[path]) > threshold

    @cached_property
    def _distance(self) -> Floats:
        """r of the module's formula for each evaluation: 1 at fidelity 1, 0 at full length. Shape (evaluations,)."""
        z = 100 * np.arange(1, self.evaluations + 1) / self.evaluations
        return np.clip(1 - np.log(z) / np.log(100), 0, 1)

    def _expected(self, x: Floats) -> Floats:
        """Returns the FIDs without noise at points of the unit cube, (..., dimensions) -> (..., evaluations)."""
        heights = _ALPHA - self.bias * self._distance[:, None] ** 2
        peaks = np.exp(-(self.hartmann.A * (x[..., None, :] - self.hartmann.P) ** 2).sum(-1))
        return LEVEL - peaks @ heights.T


_THREE = dict(list(_PARAMETERS.items())[:3])

FUNCTIONS: dict[str, MFHartmann] = {
    "h3-good": MFHartmann(HARTMANN_3, *GOOD, _THREE),
    "h3-bad": MFHartmann(HARTMANN_3, *BAD, _THREE),
    "h6-good": MFHartmann(HARTMANN_6, *GOOD, _PARAMETERS),
    "h6-bad": MFHartmann(HARTMANN_6, *BAD, _PARAMETERS),
    "h6-mixed": MFHartmann(HARTMANN_6, *GOOD, _CONDITIONAL, instead=_WITHOUT_CLIP),
    "h6-diverges": MFHartmann(HARTMANN_6, *GOOD, _PARAMETERS, diverges=_DIVERGES),
}
