"""The content of `finals.json`: what the finals of a run have decided."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, field_validator, model_validator

from gansearch.cache import save_text
from gansearch.config import first_fault
from gansearch.errors import UserError, one_line
from gansearch.program import command
from gansearch.run.paths import RunDir
from gansearch.run.rows import TrialId

FINALS_VERSION = 1
MOST_SEEDS = 1000  # of each finalist
_STRICT = ConfigDict(frozen=True, strict=True, extra="forbid")


class Finalist(BaseModel):
    """A configuration that was trained again with several seeds.

    A final that diverged counts as the highest FID that any final had at any evaluation, in the mean and all that
    follows from it.

    Args:
        place: 1 for the lowest mean. Finalists that no test tells apart share a place. None with fewer than two values,
            which no test can compare.
        trial_id: The trial of the search.
        origin: Who proposed that trial.
        searched_fid: The lowest FID of that trial. It is too low: the finalist was chosen for it.
        params: The parameters that apply, by dotted path.
        trials: The finals that were completed.
        fids: The lowest FID of each of `trials`.
        diverged: How many finals diverged.
        missing: How many finals have no FID because they failed or were stopped.
        mean: The mean FID; None where no final has given an FID.
        interval: The 95 % confidence interval of the mean; None with fewer than two values, or where all diverged.
        better_than_next: The probability that its mean is lower than that of the next finalist; None where that is not
            known.
    """

    model_config = _STRICT

    place: int | None = Field(ge=1)
    trial_id: TrialId
    origin: str
    searched_fid: FiniteFloat
    params: dict[str, Any]
    trials: tuple[TrialId, ...]
    fids: tuple[FiniteFloat, ...]
    diverged: int = Field(ge=0)
    missing: int = Field(ge=0)
    mean: FiniteFloat | None
    interval: tuple[FiniteFloat, FiniteFloat] | None
    better_than_next: float | None = Field(ge=0, le=1)

    @model_validator(mode="after")
    def _one_fid_for_each_trial(self) -> Self:
        if len(self.trials) != len(self.fids):
            raise ValueError("there is one FID for each trial")
        return self

    @property
    def counted(self) -> int:
        """Of how many finals `mean` is the mean."""
        return len(self.fids) + self.diverged

    @property
    def nearest(self) -> str | None:
        """The final whose FID lies nearest to the mean, the first of equally near ones; None without any."""
        if self.mean is None:
            return None
        mean = self.mean
        pairs = [(abs(fid - mean), trial_id) for fid, trial_id in zip(self.fids, self.trials, strict=True)]
        return min(pairs)[1] if pairs else None


class Finals(BaseModel):
    """The finals of a search as it was then.

    Args:
        protocol: The hash of the protocol of all FIDs.
        max_kimg: The length of the finals.
        seeds: How many seeds each finalist was to have.
        num_searched: The evaluations that the search had. Where it has more by now, the finals are void: another
            configuration may be better.
        finalists: By place, then by mean.
    """

    model_config = _STRICT

    version: int
    protocol: str
    max_kimg: FiniteFloat
    seeds: int = Field(ge=2, le=MOST_SEEDS)
    num_searched: int = Field(ge=0)
    finalists: tuple[Finalist, ...] = Field(min_length=1)

    @field_validator("version")
    @classmethod
    def _is_known(cls, version: int) -> int:
        if version != FINALS_VERSION:
            raise ValueError(f"{version}, this gansearch reads {FINALS_VERSION}")
        return version

    @property
    def winner(self) -> Finalist:
        return self.finalists[0]

    def save(self, run: RunDir) -> None:
        """Writes `finals.json`, whole or not at all. Raises UserError where the file can't be written."""
        save_text(run.finals, self.model_dump_json(indent=2))

    @classmethod
    def load(cls, run: RunDir) -> Self | None:
        """Reads `finals.json`; returns None where there is none.

        Raises:
            UserError: The file can't be read, or is damaged. What was decided must not change because of that.
        """
        try:
            return cls.model_validate_json(run.finals.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            reason = first_fault(error)
        except OSError as error:
            reason = one_line(error)
        again = command("finals", run.path)
        raise UserError(
            f"{run.finals} is broken ({reason}): delete it; `{again}` writes it anew without training again"
        )
