"""FID against kimg: the curves of trials, or how many trials are distributed."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gansearch.analysis.info.statistics import LEAST, quantile
from gansearch.analysis.info.trials import baseline_name, leaders, searched, shown_winner, state_text
from gansearch.run.ledger import Standing, TrialState
from gansearch.run.loaded import Run
from gansearch.run.protocol import Floor
from gansearch.run.rows import images_of

MOST_CURVES = 60
"""With more trials than that a picture shows bands and the leaders."""

LEADERS = 10
SHARES = (0.1, 0.25, 0.5, 0.75, 0.9)
"""The quantiles of a band."""

# Below this ratio of highest to lowest, a linear FID axis shows more.
_WIDE = 8.0
# An axis that reaches down to the floor must leave the curves at least this share of the height.
_LEAST_SHARE = 3 / 4


class Curve(NamedTuple):
    """The FIDs of one trial at each evaluation. `baseline` is the name of its recipe, None where it is no baseline."""

    trial_id: str
    number: int
    status: Standing
    baseline: str | None
    kimg: list[float]
    fid: list[float]

    @property
    def lowest(self) -> tuple[float, float]:
        """(kimg, FID) of the lowest FID, the first of equal ones."""
        at = self.fid.index(min(self.fid))
        return self.kimg[at], self.fid[at]


class Band(NamedTuple):
    """The FIDs of the trials that trained on from one rung to the next. The same trials are in the whole band.

    Args:
        trials: How many trials these are.
        kimg: The evaluations, those at both rungs included.
        fids: At each of these the quantiles of `SHARES`.
    """

    trials: int
    kimg: list[float]
    fids: list[tuple[float, ...]]


class CurvesInfo(NamedTuple):
    """FID against kimg.

    Args:
        run: The name of the run.
        state: How far a search is that has not ended, else None.
        curves: All trials of the search with an evaluation, by number.
        winner: The id of the winner of the search.
        best: The id of its curve: that of the winner, or of a trial that continues it.
        by_finals: Whether finals have decided which trial is the winner; else it has the lowest FID.
        leaders: The ids of the ten best trials, the winner first.
        bands: With more than `MOST_CURVES` trials their distribution between rungs, else empty.
        diverged: Where trials diverged that have no curve because they have no evaluation, in kimg.
        rungs: The rungs in kimg.
        num_train: The number of training images, None where it is not known.
        log_fid: Whether the FID axis is logarithmic.
        floor: The FID of real images, None where it is not known.
        floor_fits: Whether an axis that shows the floor still shows the curves.
    """

    run: str
    state: str | None
    curves: list[Curve]
    winner: str | None
    best: str | None
    by_finals: bool
    leaders: list[str]
    bands: list[Band]
    diverged: list[float]
    rungs: tuple[float, ...]
    num_train: int | None
    log_fid: bool
    floor: Floor | None
    floor_fits: bool

    @property
    def shown(self) -> list[Curve]:
        """The trials that are drawn as lines: all, or beside bands the leaders and the baselines."""
        if not self.bands:
            return self.curves
        return [curve for curve in self.curves if curve.baseline or curve.trial_id in self.leaders]


def curves_info(run: Run) -> CurvesInfo:
    """Returns the FIDs of all trials. The curve of a trial that continues another one shows both."""
    trials = searched(run)
    curves = [curve_of(run, trial) for trial in trials if trial.evals]
    fids = [fid for curve in curves for fid in curve.fid]
    floor, log_fid, winner, shown = run.manifest.floor, is_wide(fids), run.winner, shown_winner(run)
    return CurvesInfo(
        run=run.manifest.name,
        state=state_text(run),
        curves=curves,
        winner=winner.trial_id if winner else None,
        best=shown.trial_id if shown else None,
        by_finals=run.finals is not None,
        leaders=[trial.trial_id for trial in leaders(run, LEADERS)],
        bands=bands(curves, run.manifest.rungs_kimg) if len(curves) > MOST_CURVES else [],
        diverged=[trial.kimg for trial in trials if trial.status == "diverged" and not trial.evals],
        rungs=tuple(run.manifest.rungs_kimg),
        num_train=run.manifest.num_train,
        log_fid=log_fid,
        floor=floor,
        floor_fits=floor is not None and fits(floor.fid, fids, log_fid),
    )


def curve_of(run: Run, trial: TrialState) -> Curve:
    """Returns the curve of a trial, and before it that of the trial that it continues."""
    rows = run.ledger.history(trial.trial_id)
    name = baseline_name(run.ledger[run.ledger.root_id(trial.trial_id)])
    kimg, fid = [row.kimg for row in rows], [row.fid for row in rows]
    return Curve(trial.trial_id, trial.number, trial.status, name, kimg, fid)


def bands(curves: Sequence[Curve], rungs: Sequence[float]) -> list[Band]:
    """Returns for each part between two rungs the distribution of the trials that have come through all of it.

    One band over the whole length would fall at each rung because the worst trials are stopped there, and not because
    a trial learns. A part that fewer than 8 trials came through has no band.
    """
    found, below = [], 0
    for rung in map(images_of, rungs):
        inside = [
            {kimg: fid for kimg, fid in zip(curve.kimg, curve.fid, strict=True) if below <= images_of(kimg) <= rung}
            for curve in curves
            if images_of(curve.kimg[-1]) >= rung
        ]
        kimg = sorted(set.intersection(*map(set, inside))) if inside else []
        if len(inside) >= LEAST and kimg:
            columns = [sorted(one[at] for one in inside) for at in kimg]
            quantiles = [tuple(quantile(column, share) for share in SHARES) for column in columns]
            found.append(Band(len(inside), kimg, quantiles))
        below = rung
    return found


def is_wide(fids: Iterable[float]) -> bool:
    """Returns whether values are positive and range so far that a linear axis would press most of them together."""
    values = [fid for fid in fids if math.isfinite(fid)]
    return bool(values) and min(values) > 0 and max(values) / min(values) >= _WIDE


def fits(line: float, values: Sequence[float], log: bool) -> bool:
    """Returns whether an axis, log or linear, that also shows `line` leaves `values` three quarters of the height."""
    if not values or (log and line <= 0):
        return False
    low, high = min(values), max(values)
    ends = [low, high, min(low, line), max(high, line)]
    low, high, bottom, top = map(math.log, ends) if log else ends
    return high - low >= _LEAST_SHARE * (top - bottom)
