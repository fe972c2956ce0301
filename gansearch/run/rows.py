"""The rows of `results.jsonl`: their schema, how they are appended and read, and what they say of a trial.

The file is append only and has one writer, the driver. It is the truth for status, rank, plots and resume.
"""

import errno
import fcntl
import json
import os
import sys
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
