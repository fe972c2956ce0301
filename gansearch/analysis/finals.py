"""Which of the best configurations is better, by several seeds of each. No significant difference means a tie."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import Any, TextIO

import numpy as np
from scipy.stats import tukey_hsd

from gansearch.analysis.rank import by_fid
from gansearch.analysis.table import Table
from gansearch.analysis.text import params_text
from gansearch.run.ledger import Ledger, TrialState
from gansearch.run.loaded import Run
from gansearch.run.rows import images_of
from gansearch.text import MISSING, fid_text

_SIGNIFICANCE = 0.05


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A finalist and its place among the finalists.

    Args:
        place: 1 for the lowest mean FID. A finalist shares the place of the one before if no difference to any
            finalist at that place is significant: a tie. None with fewer than two values in `fids`.
        searched_fid: The lowest FID in the search. It is too low: the finalist was chosen for it.
        fids: The lowest FID of each final that was completed at full length.
        mean_fid: The mean of `fids`, None without one.
        std_fid: The standard deviation of `fids`, None with fewer than two.
        diverged: The number of finals that diverged.
        missing: The number of finals that have no FID because they failed, were stopped, or have not finished.
        trials: The ids of the trials in `fids`.
        params: The parameters that apply, by dotted path.
    """

    place: int | None
    trial_id: str
    searched_fid: float
    fids: tuple[float, ...]
    mean_fid: float | None
    std_fid: float | None
    diverged: int
    missing: int
    trials: tuple[str, ...]
    params: dict[str, Any]


def finalists(ledger: Ledger, top: int) -> list[TrialState]:
    """Returns the `top` trials of a search with the lowest FIDs, one for each configuration. Finals do not count."""
    found: dict[str, TrialState] = {}
    for trial in sorted(ledger.values(), key=by_fid):
        if trial.best and not trial.is_final:
            found.setdefault(trial.params_key, trial)
    return list(found.values())[:top]


def standings(run: Run, top: int, seeds: int) -> list[Standing]:
    """Returns the `top` finalists by the mean FID of their finals; those with fewer than two finished ones come last.

    Places come from the test of Games and Howell (1976, doi.org/10.3102/10769986001002113) of all pairs at 5 %. The
    test needs no equal variances, and 5 % is the chance of any false difference among all pairs.
    """
    full = images_of(run.manifest.max_kimg)
    found = [_standing(run, finalist, full, seeds) for finalist in finalists(run.ledger, top)]
    found.sort(key=lambda one: (one.std_fid is None, one.mean_fid if one.mean_fid is not None else one.searched_fid))
    return list(_placed(found))


def _standing(run: Run, finalist: TrialState, full: int, seeds: int) -> Standing:
    finals = [trial for trial in run.ledger.values() if trial.is_final and trial.params_key == finalist.params_key]
    finished = [trial for trial in finals if trial.is_finished(full)]
    completed = [trial for trial in finished if trial.status == "completed"]
    fids = tuple(trial.best.fid for trial in completed if trial.best)
    assert finalist.best is not None
    return Standing(
        place=None,
        trial_id=finalist.trial_id,
        searched_fid=finalist.best.fid,
        fids=fids,
        mean_fid=fmean(fids) if fids else None,
        std_fid=stdev(fids) if len(fids) > 1 else None,
        diverged=len(finished) - len(completed),
        missing=max(0, seeds - len(finished)),
        trials=tuple(trial.trial_id for trial in completed),
        params=run.manifest.space.active(finalist.start.params),
    )


def _placed(found: Sequence[Standing]) -> Iterator[Standing]:
    """Yields standings, which are sorted by mean, with their places."""
    compared = [one for one in found if one.std_fid is not None]
    for one, place in zip(compared, _places([one.fids for one in compared]), strict=True):
        yield replace(one, place=place)
    yield from found[len(compared) :]


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


_NUMBERS = ("mean FID", "std", "lowest", "highest", "seeds", "in the search")


def write_finals(found: Sequence[Standing], file: TextIO | None = None) -> None:
    """Writes the standings as a table, to stdout by default, and below it which are ties and what is missing."""
    places = [one.place for one in found]
    ties = sorted({place for place in places if place is not None and places.count(place) > 1})
    table = Table(("place", "trial", *_NUMBERS), {"place", *_NUMBERS}, ("parameters",))
    for one in found:
        mean, params = fid_text(one.mean_fid), params_text(one.params)
        decimals = len(mean.partition(".")[2])
        table.add(
            MISSING if one.place is None else f"{one.place} tie" if one.place in ties else str(one.place),
            one.trial_id,
            mean,
            MISSING if one.std_fid is None else f"{one.std_fid:.{decimals}f}",
            fid_text(min(one.fids, default=None)),
            fid_text(max(one.fids, default=None)),
            str(len(one.fids)),
            fid_text(one.searched_fid),
            long_cells=(params,),
            details=params,
            style="bold" if one.place == 1 else "",
        )
    for place in ties:
        ids = ", ".join(one.trial_id for one in found if one.place == place)
        table.notes.append(f"a tie for place {place}: {ids} (no significant difference; Games-Howell test, 5 %)")
    for one in found:
        if one.diverged:
            table.notes.append(f"{one.trial_id}: {one.diverged} of its finals diverged, which its mean leaves out")
        if one.missing:
            table.notes.append(f"{one.trial_id}: {one.missing} of its finals gave no FID yet")
    table.write(file)
