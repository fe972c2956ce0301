"""The ranking of a run's trials by their lowest FID, as data and as JSON."""

import itertools
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from gansearch.analysis.noise import fid_noise
from gansearch.analysis.text import reason_text
from gansearch.run.finals import Finalist
from gansearch.run.ledger import Standing, TrialState, by_best
from gansearch.run.loaded import Run
from gansearch.run.rows import Relation


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """A trial and its rank.

    Args:
        rank: 1 for the lowest FID. Trials share a rank where the noise of an FID does not tell them from the first one
            that has it. None for a trial without an evaluation, and for a final.
        place: The place of the trial's parameters in the finals, None where they are no finalist's.
        finals_mean: The mean FID of these finals, None without any.
        finals_low: The lower end of the 95 % interval of that mean, None where it is not known.
        finals_high: The upper end.
        best_fid: The lowest FID of the trial.
        best_kimg: The training length at `best_fid`.
        mean_fid: The mean over all evaluations of the trial.
        max_fid: The maximum over all evaluations of the trial.
        kimg: How far the trial has come.
        parent: The earlier trial that this one follows, None where there is none.
        reason: Why the trial ended before its full length, waits or went on, None where nothing is to say.
        params: The parameters that apply, by dotted path.
        protocol: The hash of the protocol of `best_fid`.
        checkpoint: The path or URI of the checkpoint that holds the generator of `best_fid`.
    """

    rank: int | None
    place: int | None
    finals_mean: float | None
    finals_low: float | None
    finals_high: float | None
    trial_id: str
    number: int
    best_fid: float | None
    best_kimg: float | None
    mean_fid: float | None
    max_fid: float | None
    kimg: float
    status: Standing
    reason: str | None
    origin: str
    parent: str | None
    relation: Relation | None
    params: dict[str, Any]
    protocol: str | None
    checkpoint: str | None


def rank(run: Run, top: int | None = None) -> list[Ranked]:
    """Returns the `top` trials of a run, or all, the lowest FID first; of equal FIDs that reached at fewer kimg.

    Finals come last and have no rank: each is one of several seeds of a configuration, and the luckiest would be first.
    """
    trials = sorted(run.ledger.values(), key=by_best)
    searched, finals = ([trial for trial in trials if trial.is_final is final] for final in (False, True))
    ranks = _ranks([trial.best.fid for trial in searched if trial.best], fid_noise(run.ledger) or 0.0)
    by_params = {run.ledger[one.trial_id].params_key: one for one in run.finalists}
    return [
        _ranked(run, trial, rank, by_params.get(trial.params_key) if by_params else None)
        for trial, rank in zip((*searched, *finals)[:top], itertools.chain(ranks, itertools.repeat(None)), strict=False)
    ]


def _ranks(fids: Sequence[float], noise: float) -> Iterator[int]:
    """Yields the rank of each FID of a rising sequence.

    An FID shares the rank of the first one that has it while it is less than two standard deviations of a difference
    above that. `noise` is the standard deviation of the logarithm of an FID.
    """
    first, rank = 0.0, 0
    for position, fid in enumerate(fids, 1):
        is_level = rank > 0 and (fid == first or (first > 0 and math.log(fid / first) < 2 * math.sqrt(2) * noise))
        if not is_level:
            first, rank = fid, position
        yield rank


def _ranked(run: Run, trial: TrialState, rank: int | None, finalist: Finalist | None) -> Ranked:
    best = trial.best
    fids = [row.fid for row in trial.evals]
    low, high = (finalist and finalist.interval) or (None, None)
    return Ranked(
        rank=rank,
        place=finalist.place if finalist else None,
        finals_mean=finalist.mean if finalist else None,
        finals_low=low,
        finals_high=high,
        trial_id=trial.trial_id,
        number=trial.number,
        best_fid=best.fid if best else None,
        best_kimg=best.kimg if best else None,
        mean_fid=fmean(fids) if fids else None,
        max_fid=max(fids, default=None),
        kimg=trial.kimg,
        status=trial.status,
        reason=None if trial.status == "completed" else reason_text(trial, run.ledger),
        origin=trial.start.origin,
        parent=trial.start.parent,
        relation=trial.start.relation,
        params=run.manifest.space.active(trial.start.params),
        protocol=best.protocol if best else None,
        checkpoint=run.checkpoint(trial.trial_id),
    )


def to_json(rows: Iterable[Ranked]) -> str:
    """Returns a list of objects in strict JSON, one on each line; what is not known is null."""
    return "[" + ",\n ".join(json.dumps(vars(row), allow_nan=False) for row in rows) + "]"
