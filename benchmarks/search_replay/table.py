"""Tables of curves that were measured, as problems: a search gets a measured curve for what it proposes."""

import csv
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.search_replay.problem import Curve, Floats, Objective, unit
from gansearch.errors import UserError, one_line
from gansearch.run.space import Space
from gansearch.search.find_space import parse_settings

_COLUMNS = ("config", "seed", "kimg", "fid")


@dataclass(frozen=True)
class Measured:
    """A configuration that was trained, with each of some seeds.

    Args:
        params: The parameters that apply.
        curves: The FIDs of each training; a curve is shorter where the training diverged.
    """

    params: Mapping[str, Any]
    curves: Sequence[Floats]


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
        """Returns the regret of the worst configuration among the best `share` of all, which is at least one."""
        return float(np.sort(self.values)[math.ceil(share * len(self.rows)) - 1]) - self.optimum

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
        difference = self._points - self._point(params)
        squares = np.where(self._is_categorical, (difference != 0).astype(float), difference**2)
        return np.where(np.isnan(difference), 0.0, squares).sum(axis=1)

    def _point(self, params: Mapping[str, Any]) -> Floats:
        """Returns the number in the unit cube or the index of the choice, nan where a parameter does not apply."""
        point = np.full(len(self.space.params), np.nan)
        for index, (path, one) in enumerate(self.space.params.items()):
            if path in params:
                domain = one.domain
                point[index] = (
                    domain.choices.index(params[path]) if domain.is_categorical else unit(domain, params[path])
                )
        return point

    @cached_property
    def _points(self) -> Floats:
        return np.stack([self._point(row.params) for row in self.rows])

    @cached_property
    def _is_categorical(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        return np.array([one.domain.is_categorical for one in self.space.params.values()])


def read_table(path: Path, space: Space) -> Table:
    """Reads a table of configurations: one row for a configuration, a seed and an evaluation.

    The columns are `config`, `seed`, `kimg`, `fid`, and a column for each parameter of the space, by dotted path and
    empty where the parameter does not apply. A training without an FID at the later evaluations has diverged.

    Args:
        path: A CSV file.
        space: The space that was searched. Its length becomes that of the table, and its baselines are left out.

    Raises:
        UserError: The file can't be read, or a column or a value is missing or wrong.
    """
    lines = read_csv(path, [*_COLUMNS, *space.params])
    lengths = sorted({float(line["kimg"]) for line in lines})
    length = {"train.evaluations": len(lengths), "train.max_kimg": lengths[-1]}
    space = space.replaced(base=space.base.override(length), baselines=())
    params: dict[str, dict[str, Any]] = {}
    fids: dict[str, dict[str, dict[float, float]]] = defaultdict(lambda: defaultdict(dict))
    for line in lines:
        if line["fid"] not in {"", "nan"}:
            fids[line["config"]][line["seed"]][float(line["kimg"])] = float(line["fid"])
        given = parse_settings([f"{path}={line[path]}" for path in space.params if line[path] != ""], None)
        params[line["config"]] = space.active(given)
        for name, value in given.items():
            if not space.params[name].domain.contains(value):
                raise space.params[name].domain.outside(name, value)
    rows = [Measured(params[one], [_curve(by_kimg, lengths) for by_kimg in fids[one].values()]) for one in fids]
    return Table(space, rows)


def _curve(by_kimg: Mapping[float, float], lengths: Iterable[float]) -> Floats:
    """Returns the FIDs of a training up to the first evaluation that it lacks."""
    fids = []
    for kimg in lengths:
        if kimg not in by_kimg:
            break
        fids.append(by_kimg[kimg])
    return np.array(fids)


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
