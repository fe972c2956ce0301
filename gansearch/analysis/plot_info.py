"""What the plots of a run show, in numbers: `plots` draws them, tests check them."""

import math
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

from gansearch.analysis.text import value_text
from gansearch.run.ledger import TrialState, best_trial
from gansearch.run.loaded import Run
from gansearch.run.protocol import Floor
from gansearch.run.rows import Status

# Below this ratio of highest to lowest, a linear FID axis shows more.
_WIDE = 8.0
# An axis that reaches down to the floor must leave the curves at least this share of its height.
_LEAST_SHARE = 1 / 3


class Curve(NamedTuple):
    """One trial's FIDs at its evaluations."""

    trial_id: str
    number: int
    status: Status | Literal["running"]
    kimg: list[float]
    fid: list[float]


class CurvesInfo(NamedTuple):
    """FID against kimg: every evaluated trial by number, the best one's id, the rungs, whether FID's axis is log.

    `floor` is None where none is known; `floor_fits` says whether an axis that shows it still shows the curves.
    """

    run: str
    curves: list[Curve]
    best: str | None
    rungs: tuple[float, ...]
    log_fid: bool
    floor: Floor | None
    floor_fits: bool


class Point(NamedTuple):
    """A trial's value of a parameter (`x`: a number, or an index into the choices) and its lowest FID."""

    x: float
    fid: float
    trial_id: str
    status: Status | Literal["running"]


class ParamInfo(NamedTuple):
    """Lowest FID against one parameter, over the trials in which it was active.

    `choices` holds the labels of a categorical parameter, in the domain's order, and is None for a number. `limits`
    spans the domain and the points, so that a plot also shows where nothing was tried.
    """

    path: str
    points: list[Point]
    choices: list[str] | None
    limits: tuple[float, float]
    best: str | None
    log_x: bool
    log_fid: bool
    only_where: str | None

    def group(self, index: int) -> list[float]:
        """The FIDs of all trials with choice `index`."""
        return [point.fid for point in self.points if point.x == index]


def curves_info(loaded: Run) -> CurvesInfo:
    curves = [
        _curve(loaded, state) for state in sorted(loaded.ledger.values(), key=lambda state: state.number) if state.evals
    ]
    fids = [fid for curve in curves for fid in curve.fid]
    floor, log_fid = loaded.manifest.floor, is_wide(fids)
    return CurvesInfo(
        run=loaded.manifest.name,
        curves=curves,
        best=_best_id(loaded.ledger.values()),
        rungs=tuple(sorted(loaded.manifest.rungs_kimg)),
        log_fid=log_fid,
        floor=floor,
        floor_fits=floor is not None and fits(floor.fid, fids, log_fid),
    )


def _curve(loaded: Run, state: TrialState) -> Curve:
    """One that continues another trial's shows the whole way."""
    rows = loaded.ledger.history(state.trial_id)
    return Curve(state.trial_id, state.number, state.status, [row.kimg for row in rows], [row.fid for row in rows])


def param_info(loaded: Run, path: str) -> ParamInfo:
    """The numbers for the searched parameter `path`; trials in which it was not active are left out.

    So are finals, which would give their configurations more weight.
    """
    parameter = loaded.manifest.space.params[path]
    domain, when = parameter.domain, parameter.when
    values: list[tuple[Any, Point]] = []
    searched = [state for state in loaded.ledger.values() if not state.is_final]
    for state in searched:
        params = loaded.manifest.space.active(state.start.params)
        if state.best and path in params:
            values.append((params[path], Point(math.nan, state.best.fid, state.trial_id, state.status)))
    choices = _labels(domain.choices, [value for value, _ in values]) if domain.is_categorical else None
    if choices is None:
        points = [point._replace(x=float(value)) for value, point in values if isinstance(value, int | float)]
    else:
        points = [point._replace(x=float(choices.index(value_text(value)))) for value, point in values]
    ends = [0.0, len(choices) - 1.0] if choices else [domain.range.low, domain.range.high]
    ends += [point.x for point in points]
    return ParamInfo(
        path=path,
        points=points,
        choices=choices,
        limits=(min(ends), max(ends)),
        best=_best_id(searched),
        # A baseline may lie outside the domain, at zero too.
        log_x=choices is None and domain.range.log and all(point.x > 0 for point in points),
        log_fid=is_wide(point.fid for point in points),
        only_where=f"{when.path} = {value_text(when.equals)}" if when else None,
    )


def is_wide(fids: Iterable[float]) -> bool:
    """Whether the values are positive and range so far that a linear axis would press most of them together."""
    values = list(fids)
    return bool(values) and min(values) > 0 and max(values) / min(values) >= _WIDE


def fits(line: float, values: Sequence[float], log: bool) -> bool:
    """Whether an axis, log or linear, that also shows `line` leaves `values` a third of its height."""
    if not values or (log and line <= 0):
        return False
    low, high = min(values), max(values)
    ends = [low, high, min(low, line), max(high, line)]
    low, high, bottom, top = map(math.log, ends) if log else ends
    return high - low >= _LEAST_SHARE * (top - bottom)


def _labels(choices: Sequence[Any], seen: Sequence[Any]) -> list[str]:
    """The domain's choices, then values that only a baseline had."""
    return list(dict.fromkeys(map(value_text, [*choices, *seen])))


def _best_id(states: Iterable[TrialState]) -> str | None:
    best = best_trial(states)
    return best.trial_id if best else None
