"""The rows of `results.jsonl`: one schema, one writer, and one reader with one policy for damage.

The file is append only, and only the driver writes it. Every command derives the state of the run from this file.

The policy for damage: a line that is no whole, valid row is left out with a warning, by every command in the same way.
"""

import errno
import fcntl
import json
import os
from collections.abc import Callable
from dataclasses import asdict, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, FiniteFloat, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from gansearch.config import MOST_KIMG
from gansearch.errors import UserError, one_line
from gansearch.logs import warn_once

Status = Literal["completed", "stopped", "diverged", "infeasible", "failed"]
"""How a trial ended. One that does not fit the memory of its GPU is infeasible: trained again, it would not either."""
Cause = Literal["lost", "node", "timeout", "storage", "disk full", "refused", "error"]
"""What made a trial fail: its process was lost, or its node; it took too long; its storage did not answer, or is full;
the node refused it, as it does not see what the trial needs; or the trial raised an error."""
Relation = Literal["retry", "continuation", "final"]
Verdict = Literal["goes on", "waits", "stops"]

_MOST = 10**300  # floats end soon after
_PARAMETER = 2  # steps to a parameter's value: `params`, and its path

# Strict: a number written as text is damage, not a number.
_SCHEMA = ConfigDict(strict=True, extra="forbid", defer_build=True)


def now() -> str:
    """Returns the time, as rows have it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def with_zone(time: str) -> str:
    """Returns a time of ISO 8601; raises ValueError where it is none, or has no zone."""
    if datetime.fromisoformat(time).tzinfo is None:
        raise ValueError("a time has its zone")
    return time


TrialId = Annotated[str, Field(pattern=r"^[0-9]{4,}$")]
"""A trial's number with at least four digits. It is a folder's name as well."""
Number = Annotated[int, Field(ge=0)]
_Value = bool | Annotated[int, Field(ge=-_MOST, le=_MOST)] | FiniteFloat | str | None
Kimg = Annotated[FiniteFloat, Field(ge=0, le=MOST_KIMG)]


def trial_id_of(number: int) -> str:
    """Returns the id of the trial with that number."""
    return f"{number:04d}"


def images_of(kimg: float) -> int:
    """Returns a length in kimg as a whole number of real images."""
    return round(kimg * 1000)


@dataclass(frozen=True, kw_only=True, config=_SCHEMA)
class _Identified:
    """The fields of every row: the trial, by number and by id, and the time of the row."""

    trial_id: TrialId
    number: Number
    time: str = field(default_factory=now)


@dataclass(frozen=True, kw_only=True, config=_SCHEMA)
class Start(_Identified):
    """A trial was proposed.

    Args:
        params: The values of the parameters that apply, by dotted path (`"loss.name": "wgan"`).
        origin: Who proposed the trial: `baseline:NAME`, `sampled`, `final`, `replay`.
        parent: The id of the earlier trial that this one follows, None where there is none.
        relation: How the trial follows its parent: it runs a failed one again (`retry`), trains the parent
            further than the parent was to go (`continuation`), or trains the parent's parameters with another seed
            (`final`).
    """

    event: Literal["start"] = "start"
    params: dict[str, _Value]
    origin: str
    seed: Number
    parent: TrialId | None = None
    relation: Relation | None = None

    @model_validator(mode="after")
    def _parent_has_a_relation(self) -> Self:
        if (self.parent is None) != (self.relation is None):
            raise ValueError("parent and relation belong together")
        return self


@dataclass(frozen=True, kw_only=True, config=_SCHEMA)
class Evaluation:
    """The result of one evaluation.

    Args:
        kimg: Thousands of real images shown to D so far.
        protocol: The hash of the protocol of `fid`.
        train_seconds: The time of the training since the evaluation before.
        eval_seconds: The time of the FID and of the artifacts.
    """

    kimg: Kimg
    fid: FiniteFloat
    protocol: str
    train_seconds: FiniteFloat
    eval_seconds: FiniteFloat
    d_loss_real: FiniteFloat
    d_loss_fake: FiniteFloat
    g_loss: FiniteFloat
    images_per_second: FiniteFloat

    @property
    def images(self) -> int:
        return images_of(self.kimg)


@dataclass(frozen=True, kw_only=True, config=_SCHEMA)
class Eval(Evaluation, _Identified):
    """The evaluation of a trial, as a row. `node` is the Ray node that the trial ran on, None without Ray."""

    event: Literal["eval"] = "eval"
    node: str | None = None


@dataclass(frozen=True, kw_only=True, config=_SCHEMA)
class Decision(_Identified):
    """The scheduler has compared a trial with others.

    A trial that waits, and one that has ended as stopped, trains further after a decision that it goes on.

    Args:
        kimg: The length that the trial has reached.
        verdict: What the trial does now.
        fid: The trial's FID there; None where nothing was compared.
        cut: The highest FID that goes on; None where so few were compared that there is none.
        compared: How many FIDs were compared, the trial's own included; 0 where nothing was compared.
        behind: How many of these are of trials that trained less than this one.
    """

    event: Literal["decision"] = "decision"
    kimg: Kimg
    verdict: Verdict
    fid: FiniteFloat | None = None
    cut: FiniteFloat | None = None
    compared: Number = 0
    behind: Number = 0

    @property
    def images(self) -> int:
        return images_of(self.kimg)


@dataclass(frozen=True, kw_only=True, config=_SCHEMA)
class End(_Identified):
    """A trial has ended. `best_fid` and `best_kimg` are None where the trial was never evaluated.

    `cause` says what made a trial fail; None where it did not.
    """

    event: Literal["end"] = "end"
    status: Status
    best_fid: FiniteFloat | None
    best_kimg: Kimg | None
    kimg: Kimg
    reason: str | None
    cause: Cause | None = None

    @property
    def images(self) -> int:
        return images_of(self.kimg)


@dataclass(frozen=True, kw_only=True, config=_SCHEMA)
class Noise(_Identified):
    """The FIDs of one checkpoint with other z: they differ by the noise of an FID alone.

    Args:
        kimg: The training length of the checkpoint, which is the trial's best one.
        protocol: The hash of the protocol of the trial's FID, which has another seed.
        fids: The FIDs, each with z of its own.
    """

    event: Literal["noise"] = "noise"
    kimg: Kimg
    protocol: str
    fids: Annotated[tuple[FiniteFloat, ...], Field(min_length=2)]


Row = Start | Eval | Decision | End | Noise


@cache
def _row_schema() -> TypeAdapter[Row]:
    """Builds the schema of a row when the first one is read: importing this module takes half as long."""
    return TypeAdapter(Annotated[Row, Field(discriminator="event")])


def to_json(row: Row) -> str:
    """Returns a row as one line of strict JSON, without the line break. All numbers of a row are finite."""
    return json.dumps({"event": row.event, **asdict(row)}, allow_nan=False)


def read(path: Path, warn: Callable[[str], None] = warn_once) -> list[Row]:
    """Reads all whole rows of a file, in order. Lines that are no valid rows are left out, and `warn` is told.

    Raises:
        UserError: The file cannot be read.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): check its permissions") from None
    rows: list[Row] = []
    validate = _row_schema().validator.validate_json  # a call of the adapter itself takes half as long again
    damaged: list[str] = []
    for number, line in enumerate(lines, 1):
        try:
            row = validate(line)
            _check(row)
            rows.append(row)
        except ValidationError as error:
            damaged.append(f"line {number}: {_fault(error)}")
        except ValueError as error:
            damaged.append(f"line {number}: {error}")
    if damaged:
        more = f", and {len(damaged) - 1} more lines" if len(damaged) > 1 else ""
        warn(f"{path}: left out what is no whole row ({damaged[0]}{more})")
    return rows


def _check(row: Row) -> None:
    """Raises ValueError for what the schema does not see: validators in Python would take half as long as all else."""
    if row.trial_id != trial_id_of(row.number):
        raise ValueError(f"trial {row.trial_id} has the number {row.number}")
    try:
        with_zone(row.time)
    except ValueError as error:
        raise ValueError(f"time: {error}") from None


def _fault(error: ValidationError) -> str:
    """Returns the first thing that is wrong with a row."""
    first = error.errors()[0]
    place, message = list(map(str, first["loc"][1:])), first["msg"]
    if place[:1] == ["params"] and len(place) > _PARAMETER:  # of each type that a value may have, there is an error
        place, message = place[:_PARAMETER], "a value is a finite number, a text, a boolean or null"
    return f"{'.'.join(place)}: {message}" if place else message


class Writer:
    """The one writer of a results file: every row is on disk when `append` returns."""

    def __init__(self, path: Path) -> None:
        """Opens a file and cuts off a half row at its end.

        Raises:
            UserError: The file cannot be written, or another process writes it.
        """
        try:
            self._file = path.open("a+b", buffering=0)
        except OSError as error:
            raise UserError(f"can't write to {path} ({one_line(error)}): fix that first") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise UserError(f"{path} is being written by another process: wait for it or stop it first") from None
        self._file.seek(0)
        content = self._file.read()
        self._file.truncate(content.rfind(b"\n") + 1)

    def append(self, row: Row) -> None:
        """Writes a row, which is on the disk when this returns. Raises OSError where that fails."""
        line = to_json(row).encode() + b"\n"
        written = self._file.write(line)
        if written != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._file.name)
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def is_being_written(path: Path) -> bool:
    """Returns whether a driver has this file open for writing; a file that is not there yet is not written."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False
