"""The numbers behind the plots of a run. `plots` draws them, and tests check them."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gansearch.analysis.text import conditions_text, value_text
from gansearch.run.ledger import Standing, TrialState, best_trial
from gansearch.run.loaded import Run
from gansearch.run.protocol import Floor

# Below this ratio of highest to lowest, a linear FID axis shows more.
_WIDE = 8.0
# An axis that reaches down to the floor must leave the curves at least this share of the height.
_LEAST_SHARE = 1 / 3


class Curve(NamedTuple):
    """The FIDs of one trial at each evaluation."""

    trial_id: str
    number: int
    status: Standing
    kimg: list[float]
    fid: list[float]


class CurvesInfo(NamedTuple):
    """FID against kimg.

    Args:
        run: The name of the run.
        curves: All trials with an evaluation, by number.
        best: The id of the trial with the lowest FID.
        rungs: The rungs in kimg.
        num_train: The number of training images, None where it is not known.
        log_fid: Whether the FID axis is logarithmic.
        floor: The FID of real images, None where it is not known.
        floor_fits: Whether an axis that shows the floor still shows the curves.
    """

    run: str
    curves: list[Curve]
    best: str | None
    rungs: tuple[float, ...]
    num_train: int | None
    log_fid: bool
    floor: Floor | None
    floor_fits: bool


class Point(NamedTuple):
    """A trial's value of a parameter (`x`: a number, or an index into the choices) and its lowest FID."""

    x: float
    fid: float
    trial_id: str
    status: Standing


class ParamInfo(NamedTuple):
    """Lowest FID against one parameter, over the trials in which the parameter applied.

    Args:
        path: The dotted path of the parameter.
        points: One point for each trial.
        choices: The labels of a category, in the order of the domain; None for a number.
        limits: The lowest and the highest `x` of the domain, so that a plot also shows where nothing was tried.
        best: The id of the trial with the lowest FID.
        log_x: Whether the axis of the parameter is logarithmic.
        log_fid: Whether the FID axis is logarithmic.
        only_where: The conditions under which the parameter applies, None where it always does.
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
        """Returns the FIDs of all trials with choice `index`."""
        return [point.fid for point in self.points if point.x == index]


def curves_info(run: Run) -> CurvesInfo:
    """Returns the FIDs of all trials. The curve of a trial that continues another one shows both."""
    curves = []
    for trial in sorted(run.ledger.values(), key=lambda trial: trial.number):
        rows = run.ledger.history(trial.trial_id)
        if trial.evals:
            kimg, fid = [row.kimg for row in rows], [row.fid for row in rows]
            curves.append(Curve(trial.trial_id, trial.number, trial.status, kimg, fid))
    fids = [fid for curve in curves for fid in curve.fid]
    floor, log_fid = run.manifest.floor, is_wide(fids)
    return CurvesInfo(
        run=run.manifest.name,
        curves=curves,
        best=_best_id(run.ledger.values()),
        rungs=tuple(run.manifest.rungs_kimg),
        num_train=run.manifest.num_train,
        log_fid=log_fid,
        floor=floor,
        floor_fits=floor is not None and fits(floor.fid, fids, log_fid),
    )


def param_info(run: Run, path: str) -> ParamInfo:
    """Returns the lowest FIDs against the searched parameter `path`.

    Trials in which the parameter did not apply, or had a value outside the space, are left out. So are finals, which
    would give more weight to the best configurations.
    """
    domain = run.manifest.space.params[path].domain
    searched = [trial for trial in run.ledger.values() if not trial.is_final]
    points = []
    for trial in searched:
        params = run.manifest.space.active(trial.start.params)
        if trial.best and path in params and domain.contains(params[path]):
            x = domain.choices.index(params[path]) if domain.is_categorical else params[path]
            points.append(Point(float(x), trial.best.fid, trial.trial_id, trial.status))
    low, high = (0, len(domain.choices) - 1) if domain.is_categorical else (domain.range.low, domain.range.high)
    return ParamInfo(
        path=path,
        points=points,
        choices=[value_text(choice) for choice in domain.choices] if domain.is_categorical else None,
        limits=(float(low), float(high)),
        best=_best_id(searched),
        log_x=not domain.is_categorical and domain.range.log,
        log_fid=is_wide(point.fid for point in points),
        only_where=conditions_text(run.manifest.space.conditions(path)) or None,
    )


def is_wide(fids: Iterable[float]) -> bool:
    """Returns whether values are positive and range so far that a linear axis would press most of them together."""
    values = list(fids)
    return bool(values) and min(values) > 0 and max(values) / min(values) >= _WIDE


def fits(line: float, values: Sequence[float], log: bool) -> bool:
    """Returns whether an axis, log or linear, that also shows `line` leaves `values` a third of the height."""
    if not values or (log and line <= 0):
        return False
    low, high = min(values), max(values)
    ends = [low, high, min(low, line), max(high, line)]
    low, high, bottom, top = map(math.log, ends) if log else ends
    return high - low >= _LEAST_SHARE * (top - bottom)


def _best_id(trials: Iterable[TrialState]) -> str | None:
    best = best_trial(trials)
    return best.trial_id if best else None
