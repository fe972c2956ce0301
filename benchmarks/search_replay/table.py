"""Tables of curves that were measured, as problems: a search gets a measured curve for what it proposes."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.search_replay.problem import Curve, Floats, Objective
from gansearch.errors import UserError, one_line
from gansearch.run.space import Space
from gansearch.search.find_space import parse_settings
from gansearch.search.unit_cube import Points, UnitCube


@dataclass(frozen=True)
class Measured:
    """A configuration that was trained, with each of some seeds.

    Args:
        params: The parameters that apply.
        curves: The FIDs of each training; a curve is shorter where the training diverged.
    """

    params: Mapping[str, Any]
    curves: list[Floats]


@dataclass(frozen=True)
class Table:
    """A table of trainings, as a `Problem`.

    A proposal gets the curve of the nearest configuration that the search has not had yet. Of a configuration that was
    trained with several seeds it gets one training, by the seed of the search. A configuration is worth the mean over
    its trainings of the lowest FID, and one that diverged with any seed the highest FID of the table.
    """

    space: Space
    rows: Sequence[Measured]

    @cached_property
    def values(self) -> Floats:
        """What each configuration is worth, shape (configurations,)."""
        worst = max(float(curve.max()) for row in self.rows for curve in row.curves if len(curve))
        return np.array([self._value(row, worst) for row in self.rows])

    def _value(self, row: Measured, worst: float) -> float:
        diverges = any(len(curve) < self.space.base.train.evaluations for curve in row.curves)
        return worst if diverges else float(np.mean([curve.min() for curve in row.curves]))

    @property
    def optimum(self) -> float:
        return float(self.values.min())

    @property
    def typical(self) -> float:
        return float(np.median(self.values))

    def top(self, share: float) -> float:
        """Returns the regret of the worst configuration among the best `share` of all, which is at least one.

        Raises:
            UserError: The share is more than all.
        """
        if share > 1:
            raise UserError(f"the best {share:.0%} are more than all: give a lower --top")
        return float(np.sort(self.values)[math.ceil(share * len(self.rows)) - 1]) - self.optimum

    def cut(self, evaluations: int) -> "Table":
        """Returns the table as it is when all trainings end after so many evaluations."""
        rows = [Measured(row.params, [curve[:evaluations] for curve in row.curves]) for row in self.rows]
        return Table(_of_length(self.space, evaluations, self.space.base.train.eval_images * evaluations / 1000), rows)

    def objective(self, seed: int) -> Objective:
        """Returns the trainings of one search. It raises UserError when the search wants more than the table has."""
        rng, unused = np.random.default_rng(seed), np.ones(len(self.rows), dtype=bool)
        chosen = [row.curves[int(rng.integers(len(row.curves)))] for row in self.rows]

        def train(params: Mapping[str, Any]) -> Curve:
            if not unused.any():
                raise UserError(f"the table's {len(self.rows)} configurations are used up: lower --trainings")
            nearest = int(np.argmin(np.where(unused, self._distances(params), np.inf)))
            unused[nearest] = False
            return Curve(chosen[nearest], float(self.values[nearest]))

        return train

    def _distances(self, params: Mapping[str, Any]) -> Floats:
        """Returns the squared distances from parameters to each configuration, shape (configurations,).

        A number differs by its distance in the unit cube, a category by 0 or 1. A parameter that applies to one of
        two configurations only makes no difference: the category that decides whether it applies makes one already.
        """
        difference = self._points - self._cube.points([params])
        squares = np.where(self._cube.sizes > 0, difference != 0, difference**2)
        return np.where(np.isnan(difference), 0.0, squares).sum(axis=1)

    @cached_property
    def _cube(self) -> UnitCube:
        return UnitCube(self.space)

    @cached_property
    def _points(self) -> Points:
        return self._cube.points(row.params for row in self.rows)


def read_table(path: Path, space: Space) -> Table:
    """Reads a table of trainings, one a row.

    The columns are `config`, the name of a configuration; `seed`; each parameter of the space by its dotted path, empty
    where it does not apply; and the FIDs by kimg, as in `1.6`, empty from where the training diverged on.

    Args:
        path: A CSV file.
        space: The space that was searched. Its length becomes that of the table, and its baselines are left out.

    Raises:
        UserError: The file can't be read, or a column or a value is missing or wrong.
    """
    columns = ["config", "seed", *space.params]
    lines = read_csv(path, columns)
    kimgs = [name for name in lines[0] if name not in columns]
    try:
        space = _of_length(space.replaced(baselines=()), len(kimgs), float(kimgs[-1]))
        curves = [[float(fid) for fid in takewhile(bool, (line[name] for name in kimgs))] for line in lines]
    except (IndexError, ValueError) as error:
        raise UserError(f"{path}: all columns but config, seed and parameters are FIDs by kimg ({error})") from None
    by_config: dict[str, Measured] = {}
    for line, curve in zip(lines, curves, strict=True):
        given = parse_settings([f"{path}={line[path]}" for path in space.params if line[path] != ""], None)
        for name, value in given.items():
            if not space.params[name].domain.contains(value):
                raise space.params[name].domain.outside(name, value)
        by_config.setdefault(line["config"], Measured(space.active(given), [])).curves.append(np.array(curve))
    return Table(space, list(by_config.values()))


def _of_length(space: Space, evaluations: int, kimg: float) -> Space:
    return space.replaced(base=space.base.override({"train.evaluations": evaluations, "train.max_kimg": kimg}))


def read_csv(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Reads the rows of a CSV file. Raises UserError where it can't be read, has no rows, or lacks a column."""
    try:
        with path.open(newline="") as file:
            lines = list(csv.DictReader(file))
    except OSError as error:
        raise UserError(f"{path} can't be read ({one_line(error)}): give the path of a CSV file") from None
    missing = [column for column in columns if not lines or column not in lines[0]]
    if missing:
        raise UserError(f"{path} has no column {missing[0]}, or no row: it takes the columns {', '.join(columns)}")
    return lines
