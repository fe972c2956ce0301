"""The state of a run's trials, computed from the rows."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gansearch.errors import unknown
from gansearch.run.rows import (
    Cause,
    Decision,
    End,
    Eval,
    Noise,
    Relation,
    Row,
    Start,
    Status,
    images_of,
    trial_id_of,
)

Standing = Status | Literal["running", "waiting"]


def key_of(params: Mapping[str, Any]) -> str:
    """Returns a text that is equal for equal parameters. A boolean equals no number there."""
    return json.dumps(params, sort_keys=True)


@dataclass
class TrialState:
    """The state of one trial, computed from the rows so far.

    `best` is the evaluation with the lowest FID, the earlier of two equal ones.
    """

    start: Start
    evals: list[Eval] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    end: End | None = None
    noise: Noise | None = None
    best: Eval | None = None

    @property
    def trial_id(self) -> str:
        return self.start.trial_id

    @property
    def number(self) -> int:
        return self.start.number

    @property
    def is_final(self) -> bool:
        """Whether the trial is a final, which repeats parameters that the search has found, and is no part of it."""
        return self.start.relation == "final"

    @property
    def is_baseline(self) -> bool:
        """Whether the trial has the parameters of a recipe."""
        return self.start.origin.startswith("baseline:")

    @property
    def params_key(self) -> str:
        """A text that is equal for trials of equal parameters."""
        return key_of(self.start.params)

    def is_finished(self, images: int) -> bool:
        """Returns whether the trial has reached `images` or has diverged: trained again, it would do the same."""
        return self.status == "diverged" or (self.status == "completed" and self.images >= images)

    @property
    def status(self) -> Standing:
        if self.end:
            return self.end.status
        if not self.is_held:
            return "running"
        return "waiting" if self.decisions[-1].verdict == "waits" else "stopped"

    @property
    def is_held(self) -> bool:
        """Whether the scheduler's last word is that the trial waits, or stops."""
        if not self.decisions or self.decisions[-1].verdict == "goes on":
            return False
        # An evaluation further up says that it went on, though the row that said so is lost.
        return not self.evals or self.evals[-1].kimg <= self.decisions[-1].kimg

    @property
    def is_unfinished(self) -> bool:
        """Whether the trial was running when its driver ended or was killed, or fails and is to be tried again."""
        return not self.is_held and self.end is None

    @property
    def may_go_on(self) -> bool:
        """Whether the trial has ended as stopped, and a resumed search may let it go on nevertheless."""
        return self.status == "stopped" and not (self.decisions and self.decisions[-1].verdict == "stops")

    @property
    def has_noise(self) -> bool:
        """Whether the noise of the lowest FID was measured."""
        return self.noise is not None and self.best is not None and self.noise.kimg == self.best.kimg

    @property
    def kimg(self) -> float:
        """The length that the trial is known to have reached."""
        return max(self.end.kimg if self.end else 0.0, self.evals[-1].kimg if self.evals else 0.0)

    @property
    def images(self) -> int:
        return images_of(self.kimg)

    def has(self, row: Row) -> bool:
        """Returns whether a row of this trial adds nothing to what is known of it."""
        match row:
            case Start():
                return True
            case Noise():
                return self.noise == row
            case Decision() if self.end is not None:
                return self.end.status != "stopped" or row.verdict != "goes on"
            case Decision():
                last = self.decisions[-1] if self.decisions else None
                return last is not None and (row.kimg, row.verdict) == (last.kimg, last.verdict)
            case Eval() if self.end is None:
                return bool(self.evals) and row.kimg <= self.evals[-1].kimg
        return self.end is not None

    def ended(
        self, status: Status, reason: str | None = None, kimg: float | None = None, cause: Cause | None = None
    ) -> End:
        """Returns the row that ends this trial now, at `kimg` (default: that of the last evaluation)."""
        return End(
            trial_id=self.trial_id,
            number=self.number,
            status=status,
            best_fid=self.best.fid if self.best else None,
            best_kimg=self.best.kimg if self.best else None,
            kimg=self.kimg if kimg is None else kimg,
            reason=reason,
            cause=cause,
        )


def by_fid(row: Eval) -> tuple[float, float, int]:
    """Returns a key that sorts evaluations: the lowest FID first, of equal ones that at fewer kimg, then by number."""
    return (row.fid, row.kimg, row.number)


def by_best(trial: TrialState) -> tuple[float, float, int]:
    """Returns a key that sorts trials by their lowest FIDs, in the order of `by_fid`; those without one come last."""
    return by_fid(trial.best) if trial.best else (math.inf, math.inf, trial.number)


def best_trial(trials: Iterable[TrialState]) -> TrialState | None:
    """Returns the trial with the lowest FID by the order of `by_fid`; None where no trial has a FID."""
    return min((trial for trial in trials if trial.best), key=by_best, default=None)


class Ledger(dict[str, TrialState]):
    """The trials of a run by id, in the order of their start.

    Rows of a trial whose start row is lost are left out: without its parameters the trial can be neither ranked nor
    continued. `without_start` has the numbers of these trials. The numbers are not given to new trials, whose
    checkpoints would lie in the same folder. `rows` has all other rows that were no duplicates, in their order,
    `comparisons` the newest decision at each rung by its kimg, `num_searched` counts the evaluations of the search,
    without those of finals, and `longest_interval` are the most seconds from one evaluation to the next. What is asked
    at every event is kept up to date: with a hundred thousand trials there is no time to go through them.
    """

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        super().__init__()
        self.without_start: dict[str, int] = {}
        self.rows: list[Row] = []
        self.comparisons: dict[float, Decision] = {}
        self._lowest: Eval | None = None
        self._highest_number = -1
        self._num_with_parent = 0
        self._search_seconds = 0.0
        self._train_seconds = 0.0  # of finals too
        self._eval_seconds = 0.0
        self.num_searched = 0
        self.longest_interval = 0.0
        for row in rows:
            self.add(row)

    def is_duplicate(self, row: Row) -> bool:
        """Returns whether a row adds nothing: its trial has started, has come as far, or has ended already."""
        trial = self.get(row.trial_id)
        return trial is not None and trial.has(row)

    def add(self, row: Row) -> None:
        """Adds one row. A duplicate changes nothing."""
        trial = self.get(row.trial_id)
        if trial is None:
            self._highest_number = max(self._highest_number, row.number)
            if not isinstance(row, Start):
                self.without_start[row.trial_id] = row.number
                return
            trial = self[row.trial_id] = TrialState(row)
            self._num_with_parent += row.parent is not None
        elif trial.has(row):
            return
        self.rows.append(row)
        match row:
            case Eval():
                self._evaluated(trial, row)
            case Decision():
                trial.decisions.append(row)
                trial.end = None
                if row.compared:
                    self.comparisons[row.kimg] = row
            case End():
                trial.end = row
            case Noise():
                trial.noise = row

    def _evaluated(self, trial: TrialState, row: Eval) -> None:
        trial.evals.append(row)
        if trial.best is None or row.fid < trial.best.fid:
            trial.best = row
        self._train_seconds += row.train_seconds
        self._eval_seconds += row.eval_seconds
        self.longest_interval = max(self.longest_interval, row.train_seconds + row.eval_seconds)
        if trial.is_final:
            return
        if self._lowest is None or (row.fid <= self._lowest.fid and by_fid(row) < by_fid(self._lowest)):
            self._lowest = row
        self._search_seconds += row.train_seconds + row.eval_seconds
        self.num_searched += 1

    def find(self, name: str) -> TrialState:
        """Returns the trial that a user names, with or without the leading zeros of its id: `7`, `07`, `0007`.

        Raises:
            UserError: There is no such trial.
        """
        trial_id = trial_id_of(int(name)) if name.isdecimal() else name
        if trial_id in self:
            return self[trial_id]
        raise unknown("trial", trial_id, self)

    @property
    def next_number(self) -> int:
        """The number of the next trial: above all that were ever given."""
        return 1 + self._highest_number

    @property
    def num_proposed(self) -> int:
        """How many trials the search has proposed, lost ones included; trials with a parent do not count."""
        return self.next_number - self._num_with_parent

    def total(self, trials: int | None) -> int | None:
        """Returns how many trials there will be once a search has proposed `trials`, with those that have a parent."""
        return None if trials is None else trials + self._num_with_parent

    def failed(self) -> list[TrialState]:
        """Returns the trials that have failed, without those that a retry or a continuation has followed.

        Of finals with the same parameters and seed the last one counts.
        """
        followed = {trial.start.parent for trial in self.values() if trial.start.relation in {"retry", "continuation"}}
        finals = {(trial.params_key, trial.start.seed): trial for trial in self.values() if trial.is_final}
        return [
            trial
            for trial in self.values()
            if trial.status == "failed"
            and trial.trial_id not in followed
            and (not trial.is_final or finals[trial.params_key, trial.start.seed] is trial)
        ]

    def root_id(self, trial_id: str) -> str:
        """Returns the trial whose training `trial_id` continues, directly or through others; else `trial_id` itself."""
        parent = self.continued(trial_id)
        return trial_id if parent is None else self.root_id(parent)

    def history(self, trial_id: str) -> list[Eval]:
        """Returns the evaluations of a trial, and before them those of the trial that it continues, if there is one."""
        evals, parent = self[trial_id].evals, self.continued(trial_id)
        if parent is None:
            return evals
        first = evals[0].kimg if evals else math.inf
        return [*(row for row in self.history(parent) if row.kimg < first), *evals]

    def fid_at(self, trial_id: str, images: int) -> float | None:
        """Returns the FID that a trial had at a length: that of the last evaluation up to there.

        This is what a trial is worth there to all that ask whether it, or one like it, is to be trained on from there:
        schedulers, samplers and `extend`. `TrialState.best` says which checkpoint is worth to be kept. It is None
        before the first evaluation.
        """
        return next((row.fid for row in reversed(self.history(trial_id)) if row.images <= images), None)

    def continued(self, trial_id: str) -> str | None:
        """Returns the earlier trial from whose checkpoint `trial_id` begins; None where there is none."""
        start = self[trial_id].start
        parent = self.get(start.parent or "")
        is_earlier = parent is not None and parent.number < start.number
        return start.parent if is_earlier and self.trains_on(start.parent, start.relation) else None

    def source(self, trial_id: str) -> tuple[str, int] | None:
        """Returns the earlier trial at whose checkpoint `trial_id` begins, and its images; None where there is none.

        It is the nearest one with an evaluation: a retry that failed before its first has nothing to go on from.
        """
        source = self.continued(trial_id)
        while source is not None and not self[source].evals:
            source = self.continued(source)
        return None if source is None else (source, self[source].images)

    def trains_on(self, parent: str | None, relation: Relation | None) -> bool:
        """Returns whether a trial of this relation begins at its parent's checkpoint.

        So does the retry of a trial that has lost its process, which is no fault of what it has learnt.
        """
        before = self.get(parent or "")
        if relation == "retry" and before is not None and before.end is not None:
            return before.end.cause in {"lost", "timeout"}
        return relation == "continuation"

    @property
    def evaluation_share(self) -> float | None:
        """The share of the trials' time that FIDs and artifacts took; None before the first evaluation."""
        seconds = self._train_seconds + self._eval_seconds
        return self._eval_seconds / seconds if seconds else None

    @property
    def mean_interval(self) -> float:
        """The seconds from one evaluation to the next, on average over the search; 0 before the first."""
        return self._search_seconds / self.num_searched if self.num_searched else 0.0

    def gpu_hours(self, gpus_per_trial: float) -> float:
        """Returns the GPU hours of the search's evaluations. Finals do not count."""
        return gpus_per_trial * self._search_seconds / 3600

    @property
    def best(self) -> TrialState | None:
        """The trial of the search with the lowest FID so far by the order of `by_fid`.

        Finals do not count: each is one of several seeds, and the lowest of them is the luckiest.
        """
        return None if self._lowest is None else self[self._lowest.trial_id]
