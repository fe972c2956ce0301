"""FID at the common rung against one searched parameter: a box for each choice, or a trend over a range."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from gansearch.analysis.info.common_rung import CommonRung, TrialAtRung
from gansearch.analysis.info.curves import is_wide
from gansearch.analysis.info.statistics import Box, box, median_interval, quantile
from gansearch.analysis.text import conditions_text, value_text
from gansearch.run.domain import Domain
from gansearch.run.space import Space

_LEAST_FOR_TREND = 24
_LEAST_IN_WINDOW = 12
_WINDOW = 1 / 6  # of all trials
_MOST_COLUMNS = 16


class Axis(NamedTuple):
    """The axis of a parameter.

    Args:
        path: The dotted path of the parameter.
        choices: The labels of a category, in the order of the domain; None for a number.
        limits: The lowest and the highest `x` of the domain, so that a plot also shows where nothing was tried.
        log: Whether the axis is logarithmic.
        is_whole: Whether the domain has whole numbers only.
        only_where: The conditions under which the parameter applies, None where it always does.
    """

    path: str
    choices: list[str] | None
    limits: tuple[float, float]
    log: bool
    is_whole: bool
    only_where: str | None

    def scaled(self, x: float) -> float:
        """Returns where a value lies on the axis."""
        return math.log(x) if self.log else x

    def is_right(self, x: float) -> bool:
        """Returns whether a value lies in the right half of the domain, so that a text has more room on its left."""
        return 2 * self.scaled(x) > sum(map(self.scaled, self.limits))


class Point(NamedTuple):
    """A trial's value of a parameter (`x`: a number, or an index into the choices) and the trial, which has its FID."""

    x: float
    trial: TrialAtRung


class Column(NamedTuple):
    """The trials of one choice, or of one whole number: how many, and from 8 on what a box shows of their FIDs."""

    x: float
    trials: int
    box: Box | None


class Trend(NamedTuple):
    """The median FID of neighbouring trials, and its 95 % confidence interval, at some values of a parameter."""

    x: list[float]
    median: list[float]
    low: list[float]
    high: list[float]


class ParamInfo(NamedTuple):
    """FID at the common rung against one parameter, over the trials in which the parameter applied.

    Args:
        axis: The parameter.
        points: One point for each trial.
        columns: Each choice, or each of at most 16 whole numbers; empty for other numbers.
        trend: How the FID depends on other numbers; None with columns, and with fewer than 24 trials.
        log_fid: Whether the FID axis is logarithmic.
    """

    axis: Axis
    points: list[Point]
    columns: list[Column]
    trend: Trend | None
    log_fid: bool


def param_info(rung: CommonRung, space: Space, path: str) -> ParamInfo:
    """Returns the FIDs at the common rung against the searched parameter `path`.

    Trials in which the parameter did not apply, or had a value outside the space, are left out. A trial that diverged
    before the rung is a point with the FID `inf`.
    """
    axis = axis_of(space, path)
    points = points_of(rung, space.params[path].domain, path)
    columns = [_column(points, x) for x in _columns(space.params[path].domain)]
    return ParamInfo(
        axis, points, columns, None if columns else trend(points), is_wide(trial.fid for trial in rung.trials)
    )


def _columns(domain: Domain) -> list[float]:
    """Returns the places of the values that are so few that each has a column; none where there are more."""
    if domain.is_categorical:
        return [float(index) for index in range(len(domain.choices))]
    low, high = domain.range.low, domain.range.high
    if domain.step is None or domain.range.log or (high - low) / domain.step >= _MOST_COLUMNS:
        return []
    return [float(domain.nearest(low + index * domain.step)) for index in range(round((high - low) / domain.step) + 1)]


def _column(points: Sequence[Point], x: float) -> Column:
    fids = [point.trial.fid for point in points if math.isclose(point.x, x, abs_tol=1e-9)]
    return Column(x, len(fids), box(fids))


def axis_of(space: Space, path: str) -> Axis:
    """Returns the axis of a parameter."""
    domain = space.params[path].domain
    low, high = (0, len(domain.choices) - 1) if domain.is_categorical else (domain.range.low, domain.range.high)
    return Axis(
        path=path,
        choices=[value_text(choice) for choice in domain.choices] if domain.is_categorical else None,
        limits=(float(low), float(high)),
        log=not domain.is_categorical and domain.range.log,
        is_whole=domain.name == "IntDistribution",
        only_where=conditions_text(space.conditions(path)) or None,
    )


def points_of(rung: CommonRung, domain: Domain, path: str) -> list[Point]:
    """Returns the trials in which the parameter `path` applied, each with its value."""
    having = (trial for trial in rung.trials if path in trial.params)
    return [Point(place_of(domain, trial.params[path]), trial) for trial in having]


def place_of(domain: Domain, value: Any) -> float:
    """Returns a value as a number: the index of a choice. A boolean is no number there."""
    if not domain.is_categorical:
        return float(value)
    return float([(type(choice) is bool, choice) for choice in domain.choices].index((type(value) is bool, value)))


def trend(points: Sequence[Point]) -> Trend | None:
    """Returns the median of each window of a sixth of the trials (at least 12) that are neighbours in `x`.

    A window stands at the median of its `x`. Windows overlap by three quarters. It is a median so that trials that
    diverged, and have the FID `inf`, count as what they are: worse than all others.
    """
    if len(points) < _LEAST_FOR_TREND:
        return None
    ordered = sorted((point.x, point.trial.fid) for point in points)
    width = max(_LEAST_IN_WINDOW, round(_WINDOW * len(ordered)))
    found: dict[float, tuple[float, float, float]] = {}
    last = len(ordered) - width
    for first in sorted({*range(0, last, max(1, width // 4)), last}):
        window = ordered[first : first + width]
        ranked = sorted(fid for _, fid in window)
        found[quantile([x for x, _ in window], 0.5)] = (quantile(ranked, 0.5), *median_interval(ranked))
    median, low, high = (list(column) for column in zip(*found.values(), strict=True))
    return Trend(list(found), median, low, high)
