"""The ranking of a run's trials by their lowest FID, as data, as a table and as JSON."""

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any, TextIO

from rich.text import Text

from gansearch.analysis.table import STATUS_COLOURS, Table
from gansearch.analysis.text import (
    flat_text,
    floor_text,
    origin_text,
    params_text,
    reason_text,
)
from gansearch.run.ledger import Standing, TrialState
from gansearch.run.loaded import Run
from gansearch.run.protocol import Floor
from gansearch.run.rows import Relation
from gansearch.text import MISSING, fid_text, kimg_text

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """A trial and its rank.

    Args:
        rank: 1 for the lowest FID, equal for equal FIDs, None for a trial without an evaluation.
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


def rank(run: Run) -> list[Ranked]:
    """Returns all trials of a run, the lowest FID first. Of equal FIDs the one reached at fewer kimg comes first."""
    trials = sorted(run.ledger.values(), key=by_fid)
    ranks: dict[float, int] = {}
    for position, trial in enumerate(trials, 1):
        if trial.best:
            ranks.setdefault(trial.best.fid, position)
    return [_ranked(run, trial, ranks[trial.best.fid] if trial.best else None) for trial in trials]


def by_fid(trial: TrialState) -> tuple[bool, float, float, int]:
    """Returns a key that sorts trials as the ranking does."""
    best = trial.best
    return (best is None, best.fid if best else 0.0, best.kimg if best else 0.0, trial.number)


def _ranked(run: Run, trial: TrialState, rank: int | None) -> Ranked:
    best = trial.best
    fids = [row.fid for row in trial.evals]
    return Ranked(
        rank=rank,
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


def to_json(rows: Iterable["DataclassInstance"]) -> str:
    """Returns dataclasses as a list of objects in strict JSON; what is not known is null."""
    return json.dumps([asdict(row) for row in rows], indent=2, allow_nan=False)


_NUMBERS = ("min FID", "at kimg", "mean FID", "max FID", "kimg")


def write_table(
    rows: Sequence[Ranked], floor: Floor | None = None, top: int | None = None, file: TextIO | None = None
) -> None:
    """Writes a ranking as a table.

    Args:
        rows: The ranking.
        floor: Goes into the last line, if there is one.
        top: How many trials the table shows; None for all.
        file: Where to write, stdout by default.
    """
    file = file or sys.stdout
    table = Table(
        ("rank", "trial", *_NUMBERS, "status", "origin"), {"rank", *_NUMBERS}, ("parameters", "checkpoint", "reason")
    )
    shown = rows[:top]
    for row in shown:
        params, reason = params_text(row.params), flat_text(row.reason or "")
        # The name of a checkpoint outside the run's folder is the id of the trial.
        name = (row.checkpoint or "").rpartition("/")[2]
        table.add(
            MISSING if row.rank is None else str(row.rank),
            row.trial_id,
            *(fid_text(row.best_fid), kimg_text(row.best_kimg), fid_text(row.mean_fid), fid_text(row.max_fid)),
            kimg_text(row.kimg),
            Text(row.status, style=STATUS_COLOURS[row.status]),
            origin_text(row.origin, row.parent, row.relation),
            long_cells=(params, row.checkpoint or MISSING, reason),
            details="; ".join(filter(None, (params, name if name != row.trial_id else "", reason))),
            style="bold" if row.rank == 1 else "",
        )
    best = next((row for row in shown if row.rank == 1), None)
    if best and best.checkpoint and file.isatty():
        table.notes.append(f"best checkpoint: {best.checkpoint}")
    if len(shown) < len(rows):
        table.notes.append(f"and {len(rows) - len(shown)} more of {len(rows)} trials")
    if floor is not None:
        table.notes.append(floor_text(floor))
    table.write(file)
