"""Parameters as points of the unit cube, so that distances and densities mean the same for every parameter."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gansearch.run.domain import Domain, is_among
from gansearch.run.space import Space

Points = np.ndarray
"""One row for each trial, one column for each parameter: a number in [0, 1] or the index of a category, else NaN."""


@dataclass(frozen=True)
class Axis:
    """One parameter. A category is counted: `size` values, each the index of a choice. A range has `size` 0."""

    domain: Domain
    size: int

    @classmethod
    def of(cls, domain: Domain) -> "Axis":
        return cls(domain, len(domain.choices))

    def to_unit(self, value: Any) -> float:
        if self.size:
            return next(index for index, choice in enumerate(self.domain.choices) if is_among(value, [choice]))
        low, high = self._ends
        return (self._scaled(value) - low) / (high - low) if high > low else 0.5

    def from_unit(self, unit: float) -> Any:
        if self.size:
            return self.domain.choices[int(unit)]
        low, high = self._ends
        scaled = low + unit * (high - low)
        value = math.exp(scaled) if self.domain.range.log else scaled
        first, last, step = self.domain.range.low, self.domain.range.high, self._step
        if step is None:
            return min(max(float(value), first), last)
        count = math.floor((last - first) / step + 1e-8)
        found = first + step * min(max(round((value - first) / step), 0), count)
        return int(found) if self.domain.name == "IntDistribution" else float(found)

    @property
    def _step(self) -> float | None:
        whole = self.domain.name == "IntDistribution"
        return self.domain.range.step or (1 if whole else None)

    @property
    def _ends(self) -> tuple[float, float]:
        """Both ends as scaled numbers. Each value of a range with steps has the same share of it, the end ones too."""
        half = (self._step or 0) / 2
        return self._scaled(self.domain.range.low - half), self._scaled(self.domain.range.high + half)

    def _scaled(self, value: float) -> float:
        return math.log(value) if self.domain.range.log else float(value)


class UnitCube:
    """The axes of a space, in an order in which each parameter follows those on which it depends."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self.paths = space.ordered
        self.axes = [Axis.of(space.params[path].domain) for path in self.paths]
        self._always = {path for path in self.paths if not space.conditions(path)}

    def points(self, params: Iterable[Mapping[str, Any]]) -> Points:
        """Returns parameters as points, shape (N, P)."""
        rows = [
            [
                axis.to_unit(one[path]) if path in one else math.nan
                for path, axis in zip(self.paths, self.axes, strict=True)
            ]
            for one in params
        ]
        return np.array(rows, dtype=float).reshape(-1, len(self.paths))

    def params(self, point: np.ndarray) -> dict[str, Any]:
        """Returns the parameters of a point, shape (P,), those only that apply."""
        chosen: dict[str, Any] = {}
        for path, axis, unit in zip(self.paths, self.axes, point, strict=True):
            if path in self._always or self._space.applies(path, chosen):
                chosen[path] = axis.from_unit(unit)
        return chosen
