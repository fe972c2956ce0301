"""What a side has come to, and the file of outcomes that lets a broken-off benchmark go on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, ValidationError
from pydantic.dataclasses import dataclass
from pydantic.type_adapter import TypeAdapter

from gansearch.config import describe
from gansearch.errors import UserError

Side = Literal["ours", "vanilla", "tuned"]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """An FID of a trial, `seconds` after the start of the command."""

    seconds: float
    fid: float
    trial: str


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Outcome:
    """A whole search of one side.

    Args:
        side: Who has searched.
        seed: The seed of the search.
        budget: The time budget in seconds that the command was given.
        arguments: Further arguments that `gansearch start` was given; empty for the other sides.
        wall: Seconds from the start to the end of the command, with all that came before and after the budget.
        begun: How many trials were begun.
        full: How many of them came to the full length.
        course: When the lowest FID fell, and to what.
        anew: The FID of the winner on new draws of z; None where its checkpoint is lost.
    """

    side: Side
    seed: int
    budget: float
    arguments: tuple[str, ...]
    wall: float
    begun: int
    full: int
    course: tuple[Reading, ...]
    anew: float | None

    @property
    def fid(self) -> float:
        """The lowest FID of the search."""
        return self.course[-1].fid


_LINE = TypeAdapter(Outcome)


def improvements(readings: Sequence[Reading]) -> tuple[Reading, ...]:
    """Returns the readings that are lower than all before them, in the order of time."""
    course: list[Reading] = []
    for reading in sorted(readings, key=lambda one: one.seconds):
        if not course or reading.fid < course[-1].fid:
            course.append(reading)
    return tuple(course)


def append(path: Path, outcome: Outcome) -> None:
    with path.open("ab") as file:
        file.write(_LINE.dump_json(outcome) + b"\n")


def read(path: Path) -> list[Outcome]:
    """Reads the outcomes of a file, none where there is no file yet; raises UserError for a line that is none."""
    outcomes = []
    for number, line in enumerate(path.read_bytes().splitlines() if path.exists() else [], 1):
        try:
            outcomes.append(_LINE.validate_json(line))
        except ValidationError as error:
            raise UserError(f"{path}, line {number}: no outcome ({describe(error)}): remove the line") from None
    return outcomes
