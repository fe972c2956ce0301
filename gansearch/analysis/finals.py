"""Which of the best configurations is better, by several seeds of each. No significant difference means a tie."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, variance

import numpy as np
from scipy.stats import t as student
from scipy.stats import tukey_hsd

from gansearch.run.finals import FINALS_VERSION, Finalist, Finals
from gansearch.run.ledger import Ledger, TrialState, by_best
from gansearch.run.loaded import Run
from gansearch.run.rows import images_of

_SIGNIFICANCE = 0.05


def finalists(ledger: Ledger, top: int) -> list[TrialState]:
    """Returns the `top` trials of a search with the lowest FIDs, one for each configuration, and the best baseline.

    The baseline comes last where it is none of the `top`. Finals do not count.
    """
    found: dict[str, TrialState] = {}
    for trial in sorted(ledger.values(), key=by_best):
        if trial.best and not trial.is_final:
            found.setdefault(trial.params_key, trial)
    chosen = list(found.values())
    baseline = next((trial for trial in chosen if trial.is_baseline), None)
    best = chosen[:top]
    return best if baseline is None or baseline in best else [*best, baseline]


@dataclass
class _Trained:
    """A finalist with the outcomes of its finals, and the FIDs that it is compared by."""

    searched: TrialState
    finished: list[TrialState]
    missing: int
    compared: list[float]

    @property
    def completed(self) -> list[TrialState]:
        return [trial for trial in self.finished if trial.status == "completed"]

    @property
    def diverged(self) -> int:
        return len(self.finished) - len(self.completed)

    @property
    def mean(self) -> float | None:
        return fmean(self.compared) if self.completed else None

    @property
    def order(self) -> tuple[bool, bool, float, int]:
        """Sorts by the mean; those with one value come behind the others, and those without any last."""
        mean, number = self.mean, self.searched.number
        return (mean is None, len(self.compared) < 2, math.inf if mean is None else mean, number)


def judge(run: Run, chosen: Sequence[TrialState], seeds: int) -> Finals:
    """Returns what the finals of the `chosen` finalists have decided, the best first.

    A final that diverged is worse than all others: it counts as the highest FID that any of them had at any evaluation,
    so as a generator that has learnt next to nothing. Places come from the test of Games and Howell (1976,
    doi.org/10.3102/10769986001002113) of all pairs at 5 %. The test needs no equal variances, and 5 % is the chance of
    any false difference among all pairs. Intervals are Student's; the probability that one mean is lower than the next
    is that of Welch's test (1947, doi.org/10.2307/2332510). Both tests compare logarithms, since the noise of an FID is
    proportional to it: one bad seed among 5.5, 5.6, 6.6, 8.9 and 35.6 does not make them a tie with FIDs around 0.9.
    """
    trained = [_trained(run, finalist, seeds) for finalist in chosen]
    highest = max((row.fid for one in trained for trial in one.finished for row in trial.evals), default=math.nan)
    for one in trained:
        one.compared += [highest] * one.diverged
    trained.sort(key=lambda one: one.order)
    return Finals(
        version=FINALS_VERSION,
        protocol=run.manifest.protocol.hash,
        max_kimg=run.manifest.max_kimg,
        seeds=seeds,
        num_searched=run.ledger.num_searched,
        finalists=tuple(_judged(run, trained)),
    )


def _trained(run: Run, finalist: TrialState, seeds: int) -> _Trained:
    full = images_of(run.manifest.max_kimg)
    finals = [trial for trial in run.ledger.values() if trial.is_final and trial.params_key == finalist.params_key]
    finished = [trial for trial in finals if trial.is_finished(full)]
    fids = [trial.best.fid for trial in finished if trial.status == "completed" and trial.best]
    return _Trained(finalist, finished, max(0, seeds - len(finished)), fids)


def _judged(run: Run, trained: Sequence[_Trained]) -> Iterator[Finalist]:
    logs = _logs([one.compared for one in trained])
    places = _places([logs[at] for at, one in enumerate(trained) if one.completed and len(one.compared) > 1])
    for index, one in enumerate(trained):
        assert one.searched.best is not None
        yield Finalist(
            place=places[index] if index < len(places) else None,
            trial_id=one.searched.trial_id,
            origin=one.searched.start.origin,
            searched_fid=one.searched.best.fid,
            params=run.manifest.space.active(one.searched.start.params),
            trials=tuple(trial.trial_id for trial in one.completed),
            fids=tuple(trial.best.fid for trial in one.completed if trial.best),
            diverged=one.diverged,
            missing=one.missing,
            mean=one.mean,
            interval=_interval(one.compared) if one.completed else None,
            better_than_next=_probability(*logs[index : index + 2]) if one is not trained[-1] else None,
        )


def _logs(groups: Sequence[Sequence[float]]) -> list[list[float]]:
    """Returns the logarithms of the values of some groups; the values, where one is not positive."""
    if any(value <= 0 for group in groups for value in group):
        return list(map(list, groups))
    return [list(map(math.log, group)) for group in groups]


def _interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Returns the 95 % interval of a mean FID, not below 0 unless a value is; None with fewer than two values."""
    if len(values) < 2:
        return None
    mean, half = fmean(values), student.ppf(0.975, len(values) - 1) * math.sqrt(variance(values) / len(values))
    low, high = float(mean - half), float(mean + half)
    return (low if min(values) < 0 else max(0.0, low)), high


def _probability(values: Sequence[float], others: Sequence[float]) -> float | None:
    """Returns the probability that the mean of `values` is the lower one.

    It is None with fewer than two values on a side, where neither side has any spread, and where nothing is known of
    both because all their finals diverged at once.
    """
    if min(len(values), len(others)) < 2 or not all(map(math.isfinite, (*values, *others))):
        return None
    own, other = variance(values) / len(values), variance(others) / len(others)
    if own + other == 0:
        return None
    freedom = (own + other) ** 2 / (own**2 / (len(values) - 1) + other**2 / (len(others) - 1))
    return float(student.cdf((fmean(others) - fmean(values)) / math.sqrt(own + other), freedom))


def _places(groups: Sequence[Sequence[float]]) -> list[int]:
    """Returns the place of each group of FIDs. The groups are sorted by mean."""
    if len(groups) < 2:
        return [1] * len(groups)
    with np.errstate(divide="ignore", invalid="ignore"):  # groups without any spread give NaN, which is a tie
        differ = (tukey_hsd(*groups, equal_var=False).pvalue < _SIGNIFICANCE).tolist()
    places = [1]
    for index in range(1, len(groups)):
        same_place = range(places[-1] - 1, index)
        places.append(index + 1 if any(differ[index][other] for other in same_place) else places[-1])
    return places
