"""Parameters as points of the unit cube, so that distances and densities mean the same for every parameter."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from gansearch.run.domain import Domain
from gansearch.run.space import Space

Points = np.ndarray
"""One row for each trial, one column for each parameter: a number in [0, 1] or the index of a category, else NaN."""

ABSENT = object()
"""Stands for the value of a parameter that does not apply. None can be a value."""


class Axis:
    """One parameter. A category is counted: `size` choices, each its index. A range of numbers has `size` 0."""

    def __init__(self, domain: Domain) -> None:
        self.size = len(domain.choices)
        self._choices = domain.choices
        # A boolean equals no number here, as in `gansearch.run.domain.is_among`.
        indices = {(isinstance(choice, bool), choice): float(at) for at, choice in enumerate(self._choices)}
        self._index = {**indices, (False, ABSENT): math.nan}
        if self.size:
            return
        self._domain, self._log = domain, domain.range.log
        # Each value of a range with steps has the same share of it, the first and the last one too.
        half = (domain.step or 0) / 2
        self._start = self._scaled(domain.range.low - half)
        self._length = self._scaled(domain.range.high + half) - self._start

    def to_unit(self, values: Sequence[Any]) -> np.ndarray:
        """Returns the coordinates of values, shape (N,); NaN for those that are `ABSENT`."""
        if self.size:
            return np.array([self._index[isinstance(value, bool), value] for value in values], dtype=float)
        numbers = np.array([math.nan if value is ABSENT else value for value in values], dtype=float)
        scaled = np.log(numbers) if self._log else numbers
        return (scaled - self._start) / self._length if self._length else np.where(np.isnan(numbers), math.nan, 0.5)

    def from_unit(self, unit: float) -> Any:
        if self.size:
            return self._choices[int(unit)]
        scaled = self._start + unit * self._length
        return self._domain.nearest(math.exp(scaled) if self._log else scaled)

    def _scaled(self, value: float) -> float:
        return math.log(value) if self._log else float(value)


class UnitCube:
    """The axes of a space, in an order in which each parameter follows those on which it depends."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self.paths = space.ordered
        self.axes = [Axis(space.params[path].domain) for path in self.paths]
        self.sizes = np.array([axis.size for axis in self.axes])
        self._always = {path for path in self.paths if not space.conditions(path)}

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Returns a point drawn uniformly, shape (P,), with a value also for parameters that do not apply."""
        even = rng.random(len(self.axes))
        return np.where(self.sizes > 0, np.floor(even * self.sizes), even)

    def points(self, params: Iterable[Mapping[str, Any]]) -> Points:
        """Returns parameters as points, shape (N, P)."""
        rows = list(params)
        columns = [
            axis.to_unit([row.get(path, ABSENT) for row in rows])
            for path, axis in zip(self.paths, self.axes, strict=True)
        ]
        return np.column_stack(columns) if columns else np.empty((len(rows), 0))

    def params(self, point: np.ndarray) -> dict[str, Any]:
        """Returns the parameters of a point, shape (P,), those only that apply."""
        chosen: dict[str, Any] = {}
        for path, axis, unit in zip(self.paths, self.axes, point, strict=True):
            if path in self._always or self._space.applies(path, chosen):
                chosen[path] = axis.from_unit(unit)
        return chosen
