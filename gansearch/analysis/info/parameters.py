"""FID at the common rung against one searched parameter, with a box for each choice or a trend over a range."""

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
_WINDOW = 1 / 8  # of all trials


class Axis(NamedTuple):
    """The axis of a parameter.

    Args:
        path: The dotted path of the parameter.
        choices: The labels of a category, in the order of the domain; None for a number.
        limits: The lowest and the highest `x` of the domain, so that a plot also shows where nothing was tried.
        log: Whether the axis is logarithmic.
        only_where: The conditions under which the parameter applies, None where it always does.
    """

    path: str
    choices: list[str] | None
    limits: tuple[float, float]
    log: bool
    only_where: str | None

    def scaled(self, x: float) -> float:
        """Returns where a value lies on the axis."""
        return math.log(x) if self.log else x


class Point(NamedTuple):
    """A trial's value of a parameter (`x`: a number, or an index into the choices) and the trial, which has its FID."""

    x: float
    trial: TrialAtRung


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
        boxes: For each choice what a box shows, None where fewer than 8 trials have it; empty for a number.
        trend: How the FID depends on a number; None for a category or where there are fewer than 24 trials.
        log_fid: Whether the FID axis is logarithmic.
    """

    axis: Axis
    points: list[Point]
    boxes: list[Box | None]
    trend: Trend | None
    log_fid: bool

    def group(self, index: int) -> list[float]:
        """Returns the FIDs of all trials with choice `index`."""
        return [point.trial.fid for point in self.points if point.x == index]


def param_info(rung: CommonRung, space: Space, path: str) -> ParamInfo:
    """Returns the FIDs at the common rung against the searched parameter `path`.

    Trials in which the parameter did not apply, or had a value outside the space, are left out. A trial that diverged
    before the rung is a point with the FID `inf`.
    """
    axis = axis_of(space, path)
    points = points_of(rung, space.params[path].domain, path)
    info = ParamInfo(axis, points, [], None, is_wide(trial.fid for trial in rung.trials))
    if axis.choices is not None:
        return info._replace(boxes=[box(info.group(index)) for index in range(len(axis.choices))])
    return info._replace(trend=trend(points))


def axis_of(space: Space, path: str) -> Axis:
    """Returns the axis of a parameter."""
    domain = space.params[path].domain
    low, high = (0, len(domain.choices) - 1) if domain.is_categorical else (domain.range.low, domain.range.high)
    return Axis(
        path=path,
        choices=[value_text(choice) for choice in domain.choices] if domain.is_categorical else None,
        limits=(float(low), float(high)),
        log=not domain.is_categorical and domain.range.log,
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
    """Returns the median of each window of an eighth of the trials (at least 12) that are neighbours in `x`.

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
