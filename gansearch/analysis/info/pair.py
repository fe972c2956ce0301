"""FID at the common rung over two parameters, as a map."""

import math
from collections import defaultdict
from typing import NamedTuple

from gansearch.analysis.info.common_rung import CommonRung, TrialAtRung
from gansearch.analysis.info.importance import ImportanceInfo
from gansearch.analysis.info.parameters import Axis, axis_of, place_of
from gansearch.analysis.info.statistics import quantile
from gansearch.run.space import Space

_LEAST_IN_FIELD = 3
_TRIALS_IN_FIELD = 15  # on average, which decides how fine the map is
_MOST_FIELDS = 10  # along an axis


class Field(NamedTuple):
    """A rectangle of the map, from (left, bottom) to (right, top), and the median FID of its trials."""

    left: float
    right: float
    bottom: float
    top: float
    trials: int
    median: float


class PairInfo(NamedTuple):
    """A map of two parameters.

    Args:
        x: The one parameter.
        y: The other one.
        points: Each trial at its place, as (x, y, trial).
        fields: The rectangles in which at least 3 trials lie.
    """

    x: Axis
    y: Axis
    points: list[tuple[float, float, TrialAtRung]]
    fields: list[Field]


def strongest_pair(importance: ImportanceInfo, rung: CommonRung, space: Space) -> PairInfo | None:
    """Returns the map of the most important parameter and of the next one that does not depend on it.

    It is None where there are not enough trials to tell which parameters these are, where there is only one, or
    where none explains anything.
    """
    if not importance.parameters or importance.parameters[0].share == 0:
        return None
    paths = [row.path for row in importance.parameters]
    for other in paths[1:]:
        depends = {when.path for path in (paths[0], other) for when in space.conditions(path)}
        if not depends & {paths[0], other}:
            return pair_info(rung, space, paths[0], other)
    return None


def pair_info(rung: CommonRung, space: Space, one: str, other: str) -> PairInfo:
    """Returns the map of two parameters; a range of numbers lies along x where there is one."""
    domains = {path: space.params[path].domain for path in (one, other)}
    x, y = sorted(domains, key=lambda path: domains[path].is_categorical)
    points = [
        (place_of(domains[x], trial.params[x]), place_of(domains[y], trial.params[y]), trial)
        for trial in rung.trials
        if x in trial.params and y in trial.params
    ]
    axes = axis_of(space, x), axis_of(space, y)
    return PairInfo(*axes, points, _fields(points, *axes))


def _fields(points: list[tuple[float, float, TrialAtRung]], x: Axis, y: Axis) -> list[Field]:
    wanted = max(1.0, len(points) / _TRIALS_IN_FIELD)
    if y.choices is not None:
        edges_y = _edges(y, 0)
        edges_x = _edges(x, round(wanted / len(y.choices)))
    else:
        edges_x = edges_y = _edges(x, round(math.sqrt(wanted)))
        edges_y = _edges(y, round(math.sqrt(wanted)))
    groups: dict[tuple[int, int], list[float]] = defaultdict(list)
    for place_x, place_y, trial in points:
        groups[_index(edges_x, place_x), _index(edges_y, place_y)].append(trial.fid)
    return [
        Field(
            edges_x[column], edges_x[column + 1], edges_y[row], edges_y[row + 1], len(fids), quantile(sorted(fids), 0.5)
        )
        for (column, row), fids in sorted(groups.items())
        if len(fids) >= _LEAST_IN_FIELD
    ]


def _edges(axis: Axis, fields: int) -> list[float]:
    """Returns the edges of fields along an axis: one for each choice, else so many of equal width, 2 to 10."""
    low, high = axis.limits
    if axis.choices is not None:
        return [index - 0.5 for index in range(len(axis.choices) + 1)]
    number = min(max(fields, 2), _MOST_FIELDS)
    shares = [index / number for index in range(number + 1)]
    if axis.log:
        return [low * (high / low) ** share for share in shares]
    return [low + (high - low) * share for share in shares]


def _index(edges: list[float], place: float) -> int:
    above = sum(edge <= place for edge in edges)
    return min(max(above - 1, 0), len(edges) - 2)
