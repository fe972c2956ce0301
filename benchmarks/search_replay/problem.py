"""What a replay searches: each configuration has a curve of FIDs, known as soon as its training starts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from gansearch.run.domain import Domain
from gansearch.run.space import Space
from gansearch.search.unit_cube import Axis

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """The training of one configuration.

    Args:
        fids: The FID of each evaluation, shape (evaluations,). A training that diverges has fewer of them: it ends
            between its last evaluation and the next one.
        value: What the training is worth at full length: its FID there without noise, or where curves were measured
            the lowest one. For a training that diverges it is one that no other exceeds.
    """

    fids: Floats
    value: float


Objective = Callable[[Mapping[str, Any]], Curve]
"""Trains the parameters of one trial: called once for each training."""


class Problem(Protocol):
    """Something to search.

    Args:
        space: The parameters; its base says how many evaluations a full training has.
        optimum: The lowest value of all configurations.
        typical: The median value of configurations drawn at random.
    """

    @property
    def space(self) -> Space: ...

    @property
    def optimum(self) -> float: ...

    @property
    def typical(self) -> float: ...

    def objective(self, seed: int) -> Objective:
        """Returns the trainings of one search. Searches of the same seed see the same noise."""
        ...


def unit(domain: Domain, value: float) -> float:
    """Returns where a number lies in its range: 0 at the lowest, 1 at the highest, by logarithms where these count."""
    return float(Axis(domain).to_unit([value])[0])
