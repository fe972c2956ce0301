"""Which of the best configurations is better, as far as several seeds can tell; where they can't, it is a tie."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import Any, TextIO

import numpy as np
from scipy.stats import tukey_hsd

from gansearch.analysis.rank import by_fid
from gansearch.analysis.text import MISSING, aligned, fid_text, params_text
from gansearch.run.ledger import Ledger, TrialState
from gansearch.run.loaded import Run

_LEVEL = 0.05  # the chance that any two of equal configurations are told apart


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A finalist. It shares the `place` of the one before if it is not told apart from any that has it: a tie.

    `fids` holds the lowest FID of each final at its full length; mean and standard deviation are theirs, None where
    they are too few (two for a deviation and a place). `searched_fid` is that of the search, which chose the finalist
    for being low, and so is too low. `trials` are the ids of the finals, `diverged` and `missing` count those that gave
    no FID: the latter failed, were stopped, or are unfinished.
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
    """The `top` trials of a search with the lowest FIDs, one for each configuration; finals are none."""
    found: dict[str, TrialState] = {}
    for state in sorted(ledger.values(), key=by_fid):
        if state.best and not state.is_final:
            found.setdefault(state.params_key, state)
    return list(found.values())[:top]


def standings(loaded: Run, top: int, seeds: int) -> list[Standing]:
    """The `top` finalists by the mean FID of their finals; those with less than two finished ones last.

    Places are by Games and Howell's test (1976, doi.org/10.3102/10769986001002113) of all pairs at 5 %: variances need
    not be equal, and it allows for as many pairs as there are.
    """
    full = round(loaded.manifest.max_kimg * 1000)
    found = [_standing(loaded, finalist, full, seeds) for finalist in finalists(loaded.ledger, top)]
    found.sort(key=lambda one: (one.std_fid is None, one.mean_fid if one.mean_fid is not None else one.searched_fid))
    return list(_placed(found))


def _standing(loaded: Run, finalist: TrialState, full: int, seeds: int) -> Standing:
    finals = [state for state in loaded.ledger.values() if state.is_final and state.params_key == finalist.params_key]
    finished = [state for state in finals if state.is_finished(full)]
    completed = [state for state in finished if state.status == "completed"]
    fids = tuple(state.best.fid for state in completed if state.best)
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
        trials=tuple(state.trial_id for state in completed),
        params=loaded.manifest.space.active(finalist.start.params),
    )


def _placed(found: Sequence[Standing]) -> Iterator[Standing]:
    """With places, where `found` is sorted by mean."""
    compared = [one for one in found if one.std_fid is not None]
    for one, place in zip(compared, _places([one.fids for one in compared]), strict=True):
        yield replace(one, place=place)
    yield from found[len(compared) :]


def _places(groups: Sequence[Sequence[float]]) -> list[int]:
    """The place of each group, which are sorted by mean."""
    if len(groups) < 2:
        return [1] * len(groups)
    with np.errstate(divide="ignore", invalid="ignore"):  # groups without any spread: NaN, not told apart
        apart = (tukey_hsd(*groups, equal_var=False).pvalue < _LEVEL).tolist()
    places = [1]
    for index in range(1, len(groups)):
        told_apart = any(apart[index][other] for other in range(places[-1] - 1, index))
        places.append(index + 1 if told_apart else places[-1])
    return places


_COLUMNS = ("place", "trial", "mean FID", "std", "lowest", "highest", "seeds", "in the search", "parameters")


def write_finals(found: Sequence[Standing], file: TextIO | None = None) -> None:
    """The standings as a table, a line for each (to stdout by default), and in words which are ties."""
    file = file or sys.stdout
    tied = {one.place for one in found if [other.place for other in found].count(one.place) > 1}
    cells = [_cells(one, one.place in tied) for one in found]
    file.writelines(f"{line}\n" for line in aligned(_COLUMNS, cells, {*_COLUMNS} - {"trial", "parameters"}))
    for place in sorted(place for place in tied if place is not None):
        ids = ", ".join(one.trial_id for one in found if one.place == place)
        file.write(f"a tie for place {place}: {ids} (their seeds do not tell them apart; Games-Howell test, 5 %)\n")
    for one in found:
        for count, what in ((one.diverged, "diverged, which its mean leaves out"), (one.missing, "gave no FID yet")):
            if count:
                file.write(f"{one.trial_id}: {count} of its finals {what}\n")


def _cells(one: Standing, tie: bool) -> list[str]:
    place = MISSING if one.place is None else f"{one.place} tie" if tie else str(one.place)
    mean, lowest, highest = map(fid_text, (one.mean_fid, min(one.fids, default=None), max(one.fids, default=None)))
    std = MISSING if one.std_fid is None else f"{one.std_fid:.{len(mean.partition('.')[2])}f}"  # as exact as its mean
    seeds, searched = str(len(one.fids)), fid_text(one.searched_fid)
    return [place, one.trial_id, mean, std, lowest, highest, seeds, searched, params_text(one.params)]
