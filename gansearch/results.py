"""The rows of `results.jsonl`: their schema, how they are appended and read, and what they say of a trial.

The file is append only and has one writer, the driver. It is the truth for status, rank, plots and resume.
"""

import errno
import fcntl
import json
import math
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Literal

from gansearch.errors import UserError, one_line

Status = Literal["completed", "stopped", "diverged", "failed"]
Relation = Literal["retry", "longer", "final"]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True, kw_only=True)
class Start:
    """A trial was proposed. `params` is flat (`"loss.name": "wgan"`); `origin` says by whom.

    Where it comes from an earlier trial, the `parent`, `relation` says how: it runs that failed one again (`retry`),
    trains it further than it was to go (`longer`), or trains its parameters with another seed (`final`).
    """

    event: ClassVar[str] = "start"
    trial_id: str
    number: int
    params: dict[str, Any]
    origin: str
    seed: int
    parent: str | None = None
    relation: Relation | None = None
    time: str = field(default_factory=_now)


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What a trial knows at one evaluation. Seconds since the one before: of training, of the FID and the artifacts."""

    kimg: float
    fid: float
    protocol: str
    train_seconds: float
    eval_seconds: float
    d_loss_real: float
    d_loss_fake: float
    g_loss: float
    images_per_second: float

    @property
    def images(self) -> int:
        """The same as kimg in real images: a whole number."""
        return round(self.kimg * 1000)


@dataclass(frozen=True, kw_only=True)
class Eval(Evaluation):
    """A trial's evaluation, as a row. `node` is the Ray node that the trial ran on, None without Ray."""

    event: ClassVar[str] = "eval"
    trial_id: str
    number: int
    node: str | None = None
    time: str = field(default_factory=_now)


@dataclass(frozen=True, kw_only=True)
class End:
    """A trial has ended. `best_fid` and `best_kimg` are None where it was never evaluated."""

    event: ClassVar[str] = "end"
    trial_id: str
    number: int
    status: Status
    best_fid: float | None
    best_kimg: float | None
    kimg: float
    reason: str | None
    time: str = field(default_factory=_now)

    @property
    def images(self) -> int:
        """The same as kimg in real images: a whole number."""
        return round(self.kimg * 1000)


@dataclass(frozen=True, kw_only=True)
class Floor:
    """What a perfect generator would score: the FID of `images` real images of `split`, which is not the reference's.

    Fewer images give a higher FID. ValueError for a FID that is negative or not finite.
    """

    split: str
    images: int
    fid: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.fid) and self.fid >= 0 and self.images >= 2):
            raise ValueError(f"a floor of {self.fid} from {self.images} images")


Row = Start | Eval | End
_ROWS: dict[str, type[Start] | type[Eval] | type[End]] = {row.event: row for row in (Start, Eval, End)}


def to_json(row: Row) -> str:
    """One line of strict JSON (ValueError on NaN or infinity: there are no sentinel values)."""
    return json.dumps({"event": row.event, **asdict(row)}, allow_nan=False)


def read(path: Path) -> list[Row]:
    """All whole rows of `path`, in order. A half row, as a crash leaves it, is skipped and said once."""
    rows: list[Row] = []
    broken: list[int] = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        try:
            fields = json.loads(line)
            kind = _ROWS.get(fields.pop("event"))
            if kind is not None:
                rows.append(kind(**fields))
        except (ValueError, TypeError, KeyError, AttributeError):
            broken.append(number)
    if broken:
        print(f"{path}: skipped what is no whole row (line {', '.join(map(str, broken))})", file=sys.stderr)
    return rows


class Writer:
    """The one writer of a results file: every row is on disk when `append` returns."""

    def __init__(self, path: Path) -> None:
        """Opens `path` and cuts off a half row at its end; UserError where it can't be, or another process does."""
        try:
            self._file = path.open("a+b", buffering=0)
        except OSError as error:
            raise UserError(f"can't write to {path} ({one_line(error)}): mend that first") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise UserError(f"{path} is being written by another process: wait for it or stop it first") from None
        self._file.seek(0)
        content = self._file.read()
        self._file.truncate(content.rfind(b"\n") + 1)

    def append(self, row: Row) -> None:
        line = to_json(row).encode() + b"\n"
        written = self._file.write(line)
        if written != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._file.name)
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def is_being_written(path: Path) -> bool:
    """Whether a driver is at work on this file."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@dataclass
class TrialState:
    """What the rows so far say of one trial."""

    start: Start
    evals: list[Eval] = field(default_factory=list)
    end: End | None = None

    @property
    def trial_id(self) -> str:
        return self.start.trial_id

    @property
    def number(self) -> int:
        return self.start.number

    @property
    def is_final(self) -> bool:
        """Whether it tries a configuration that the search has found: not a step of the search itself."""
        return self.start.relation == "final"

    @property
    def parameters(self) -> str:
        """Equal for trials of equal parameters."""
        return json.dumps(self.start.params, sort_keys=True)

    def is_finished(self, images: int) -> bool:
        """Whether it has come to `images`, or diverged: an outcome, not an accident."""
        return self.status == "diverged" or (self.status == "completed" and self.images >= images)

    @property
    def status(self) -> Status | Literal["running"]:
        return self.end.status if self.end else "running"

    @property
    def best(self) -> Eval | None:
        """The evaluation with the lowest FID; the earlier of two equal ones."""
        return min(self.evals, key=lambda row: row.fid, default=None)

    @property
    def kimg(self) -> float:
        """How far the trial is known to have come."""
        return max(self.end.kimg if self.end else 0.0, self.evals[-1].kimg if self.evals else 0.0)

    @property
    def images(self) -> int:
        """The same as kimg in real images: a whole number."""
        return round(self.kimg * 1000)

    def ended(self, status: Status, reason: str | None = None, kimg: float | None = None) -> End:
        """The row that ends this trial now, at `kimg` (default: that of the last evaluation)."""
        return End(
            trial_id=self.trial_id,
            number=self.number,
            status=status,
            best_fid=self.best.fid if self.best else None,
            best_kimg=self.best.kimg if self.best else None,
            kimg=self.kimg if kimg is None else kimg,
            reason=reason,
        )


def lowest(trials: Iterable[TrialState]) -> TrialState | None:
    """The trial with the lowest FID, None where none has one."""
    scored = [trial for trial in trials if trial.best]
    return min(scored, key=lambda trial: trial.best.fid if trial.best else 0.0, default=None)


class Ledger(dict[str, TrialState]):
    """The trials of a run by id, in order of their start, as its rows tell them."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        super().__init__()
        for row in rows:
            self.add(row)

    def knows(self, row: Row) -> bool:
        """Whether a row says nothing new: its trial has started, has come as far, or has ended already."""
        if isinstance(row, Start):
            return row.trial_id in self
        if row.trial_id not in self:
            raise UserError(f"a row of trial {row.trial_id} stands before its start: restore results.jsonl")
        state = self[row.trial_id]
        if state.end is not None:
            return True
        return isinstance(row, Eval) and bool(state.evals) and row.kimg <= state.evals[-1].kimg

    def add(self, row: Row) -> None:
        """Takes in one row, unless it is known already."""
        if self.knows(row):
            return
        match row:
            case Start():
                self[row.trial_id] = TrialState(row)
            case Eval():
                self[row.trial_id].evals.append(row)
            case End():
                self[row.trial_id].end = row

    def total(self, trials: int) -> int:
        """How many trials there will be where a search proposes `trials`: those that follow others come on top."""
        return trials + sum(trial.start.parent is not None for trial in self.values())

    def first(self, trial_id: str) -> str:
        """The trial whose training `trial_id` has continued, at once or through others; else itself."""
        start = self[trial_id].start
        return self.first(start.parent) if start.relation == "longer" and start.parent else trial_id

    def way(self, trial_id: str) -> list[Eval]:
        """The evaluations of a trial, before them those of the trial that it continues, where there is one."""
        state = self[trial_id]
        if state.start.relation != "longer" or state.start.parent is None:
            return state.evals
        own = state.evals[0].kimg if state.evals else math.inf
        return [*(row for row in self.way(state.start.parent) if row.kimg < own), *state.evals]

    def require(self, protocol: str, run: Path) -> None:
        """UserError where there are FIDs of another protocol than that of the hash `protocol`."""
        foreign = {row.protocol for trial in self.values() for row in trial.evals} - {protocol}
        if foreign:
            raise UserError(
                f"{run} holds FIDs of other protocols ({', '.join(sorted(foreign))}) than its own ({protocol}): "
                "search.json and results.jsonl are of two runs; restore them"
            )

    @property
    def evaluation_share(self) -> float | None:
        """The share of the trials' time that evaluations took, FIDs and artifacts; None before the first one."""
        rows = [row for trial in self.values() for row in trial.evals]
        seconds = sum(row.train_seconds + row.eval_seconds for row in rows)
        return sum(row.eval_seconds for row in rows) / seconds if seconds else None

    @property
    def best(self) -> TrialState | None:
        """The trial with the lowest FID so far."""
        return lowest(self.values())
