"""The ranking of a run's trials by their lowest FID, as data, as a table, as JSON and as CSV."""

import csv
import io
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal, TextIO

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from gansearch.analysis.text import (
    MISSING,
    aligned,
    fid_text,
    flat_text,
    floor_text,
    kimg_text,
    origin_text,
    params_text,
)
from gansearch.run.ledger import TrialState
from gansearch.run.loaded import Run
from gansearch.run.protocol import Floor
from gansearch.run.rows import Relation, Status

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

STATUS_STYLES = {"completed": "green", "stopped": "yellow", "running": "cyan", "diverged": "red", "failed": "red"}


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """One trial's place. `rank` is 1 for the lowest FID, equal for equal FIDs, None without an evaluation.

    `best_fid`, the lowest, was measured at `best_kimg`; mean and maximum are over all of the trial's evaluations, which
    have come to `kimg`. `params` holds the active ones only; `parent` and `relation` are those of the trial's `Start`.
    `checkpoint` is the path or URI of the checkpoint that carries the generator of `best_fid`.
    """

    rank: int | None
    trial_id: str
    number: int
    best_fid: float | None
    best_kimg: float | None
    mean_fid: float | None
    max_fid: float | None
    kimg: float
    status: Status | Literal["running"]
    reason: str | None
    origin: str
    parent: str | None
    relation: Relation | None
    params: dict[str, Any]
    protocol: str | None
    checkpoint: str | None


def rank(loaded: Run) -> list[Ranked]:
    """The ranking of a run in memory. Of equal FIDs the one reached at fewer kimg comes first."""
    states = sorted(loaded.ledger.values(), key=by_fid)
    places: dict[float, int] = {}
    for place, state in enumerate(states, 1):
        if state.best:
            places.setdefault(state.best.fid, place)
    return [_ranked(loaded, state, places[state.best.fid] if state.best else None) for state in states]


def write_table(
    rows: Sequence[Ranked], floor: Floor | None = None, top: int | None = None, file: TextIO | None = None
) -> None:
    """Aligned and never cut: in a terminal parameters fold beneath a trial's numbers, in a pipe a trial is one line.

    The `floor`, where there is one, is the last line.
    """
    file = file or sys.stdout
    shown = rows[:top]
    if file.isatty():
        _print_rich(shown, Console(file=file))
    else:
        file.writelines(f"{line}\n" for line in _plain_lines(shown))
    if len(shown) < len(rows):
        file.write(f"and {len(rows) - len(shown)} more of {len(rows)} trials\n")
    if floor is not None:
        file.write(f"{floor_text(floor)}\n")


def to_json(rows: Iterable["DataclassInstance"]) -> str:
    """A list of objects in strict JSON; what is not known is null."""
    return json.dumps([asdict(row) for row in rows], indent=2, allow_nan=False)


def to_csv(rows: Sequence[Ranked], paths: Iterable[str]) -> str:
    """One line a trial, one column for each parameter in `paths` and each other one that a trial has."""
    names = dict.fromkeys([*paths, *(path for row in rows for path in row.params)])
    fixed = [name for name in Ranked.__dataclass_fields__ if name != "params"]
    text = io.StringIO()
    writer = csv.DictWriter(text, [*fixed, *names], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        fields = asdict(row)
        writer.writerow(fields.pop("params") | fields)
    return text.getvalue()


def by_fid(state: TrialState) -> tuple[bool, float, float, int]:
    """A key that sorts trials as the ranking does."""
    best = state.best
    return (best is None, best.fid if best else 0.0, best.kimg if best else 0.0, state.number)


def _ranked(loaded: Run, state: TrialState, place: int | None) -> Ranked:
    best = state.best
    fids = [row.fid for row in state.evals]
    return Ranked(
        rank=place,
        trial_id=state.trial_id,
        number=state.number,
        best_fid=best.fid if best else None,
        best_kimg=best.kimg if best else None,
        mean_fid=fmean(fids) if fids else None,
        max_fid=max(fids, default=None),
        kimg=state.kimg,
        status=state.status,
        reason=state.end.reason if state.end else None,
        origin=state.start.origin,
        parent=state.start.parent,
        relation=state.start.relation,
        params=loaded.manifest.space.active(state.start.params),
        protocol=best.protocol if best else None,
        checkpoint=loaded.checkpoint(state.trial_id),
    )


_COLUMNS = ("rank", "trial", "min FID", "at kimg", "mean FID", "max FID", "kimg", "status", "origin")
_RIGHT = {"rank", "min FID", "at kimg", "mean FID", "max FID", "kimg"}


def _cells(row: Ranked) -> list[str]:
    place = MISSING if row.rank is None else str(row.rank)
    fids = [fid_text(row.best_fid), kimg_text(row.best_kimg), fid_text(row.mean_fid), fid_text(row.max_fid)]
    return [
        place,
        row.trial_id,
        *fids,
        kimg_text(row.kimg),
        row.status,
        origin_text(row.origin, row.parent, row.relation),
    ]


def _plain_lines(rows: Sequence[Ranked]) -> list[str]:
    cells = [
        [*_cells(row), params_text(row.params), row.checkpoint or MISSING, flat_text(row.reason or "")] for row in rows
    ]
    return aligned([*_COLUMNS, "parameters", "checkpoint", "reason"], cells, _RIGHT)


def _print_rich(rows: Sequence[Ranked], console: Console) -> None:
    """A line of numbers for each trial, which is never folded, and beneath it what may fold."""
    header, *lines = aligned(_COLUMNS, [_cells(row) for row in rows], _RIGHT)
    console.print(Text(header, style="bold underline"), soft_wrap=True)
    for row, line in zip(rows, lines, strict=True):
        text = Text(line, style="bold" if row.rank == 1 else "")
        text.highlight_words([f"  {row.status}"], STATUS_STYLES[row.status])
        console.print(text, soft_wrap=True)
        console.print(Padding(_details(row), (0, 0, 0, 6)))
    best = next((row for row in rows if row.rank == 1), None)
    if best and best.checkpoint:
        console.print(Text(f"best checkpoint: {best.checkpoint}"), soft_wrap=True)


def _details(row: Ranked) -> Text:
    """The parameters, the checkpoint's name where it is not the trial's, and the reason of an end."""
    name = (row.checkpoint or "").rpartition("/")[2]
    words = [params_text(row.params), name if name != row.trial_id else "", flat_text(row.reason or "")]
    return Text("; ".join(filter(None, words)), style="dim")
