"""What the rows of a run say of its trials."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from gansearch.errors import UserError
from gansearch.run.rows import End, Eval, Row, Start, Status


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
