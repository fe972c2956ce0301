"""Records what happens to a trial, in this order: in the trial's files, in `results.jsonl` and in the study."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gansearch.cache import atomic_write
from gansearch.config import TrialConfig
from gansearch.registry import build, resolve
from gansearch.run.ledger import Ledger, TrialState
from gansearch.run.manifest import Plan
from gansearch.run.rows import (
    Cause,
    End,
    Eval,
    Evaluation,
    Noise,
    Row,
    Start,
    Status,
    Writer,
    now,
    trial_id_of,
)
from gansearch.search.decisions import Decisions
from gansearch.search.drawing import draw
from gansearch.search.history import History
from gansearch.search.loggers.base import Listener
from gansearch.search.queue import Proposal
from gansearch.search.samplers.base import Sampler
from gansearch.search.study import Study

_MOST_IN_VAIN = 50  # trials in a row that diverge or fail before an evaluation


class Recorder:
    """Records the events of trials, so that ledger, rows, history and study agree. No event is recorded twice.

    What a trial's parameters are, and whether it goes on, follows from the rows before, so both are decided here.
    `fault` is the first error of a write to the disk. Tune would hide this error behind one of Tune's own. `in_vain` is
    how many trials have diverged or failed under this driver since the last evaluation of any.
    """

    def __init__(self, plan: Plan, writer: Writer, ledger: Ledger, listener: Listener) -> None:
        self.ledger = ledger
        self.fault: OSError | None = None
        self.in_vain = 0
        self._run, self._space, self._seed = plan.run, plan.space, plan.options.seed
        self._writer, self._listener = writer, listener
        self._sampler: Sampler = build("sampler", plan.options.sampler)
        self._history = History.of(ledger, plan.rungs)
        self._decisions = Decisions(plan, ledger)
        self._study = Study(plan.run.study_journal, plan.run.name, plan.space, ledger)

    def __getstate__(self) -> dict[str, Any]:
        """Returns nothing: Tune pickles this object for Tune's own way of resuming, which is not used here."""
        return {}

    def start(self, proposal: Proposal) -> tuple[TrialState, TrialConfig] | None:
        """Starts a new trial; None where it was to be sampled and all parameters have been tried.

        The configuration is written to the disk before the start row.
        """
        with self._disk():
            number = self.ledger.next_number
            params = proposal.params
            if params is None:
                params = draw(self._space, self._history, self._sampler, (self._seed * 1_000_003 + number) % 2**32)
                if params is None:
                    return None
            row = Start(
                trial_id=trial_id_of(number),
                number=number,
                params=params,
                origin=proposal.origin,
                seed=proposal.seed,
                parent=proposal.parent,
                relation=proposal.relation,
            )
            config = self._configure(row)
            self._write(row)
        return self.ledger[row.trial_id], config

    def restart(self, trial: TrialState) -> TrialConfig:
        """Lets a trial go on. Its configuration is written again, as an extended search has another length."""
        with self._disk():
            return self._configure(trial.start)

    def promote(self, *, is_end: bool = False) -> TrialState | None:
        """Returns a waiting trial that goes on now, None where there is none.

        `is_end` says that nothing trains and nothing else is to start: then one goes on, too, that too few others came
        after to compare it with.
        """
        with self._disk():
            decision = self._decisions.promote()
            if decision is None and is_end:
                decision = self._decisions.release()
            if decision is None:
                return None
            self._write(decision)
        return self.ledger[decision.trial_id]

    @property
    def may_promote(self) -> bool:
        """Whether a trial that waits, or has ended waiting, goes on where a slot is free."""
        return (self._decisions.promote() or self._decisions.release()) is not None

    @property
    def is_in_vain(self) -> bool:
        """Whether so many trials in a row came to nothing that no new one shall start.

        Divergences are common in a hard space: where trials came to the first rung before, it takes many more.
        """
        came_through = len(self._history.fids[self._history.rungs[0]])
        return self.in_vain >= _MOST_IN_VAIN * (1 + came_through)

    def _configure(self, start: Start) -> TrialConfig:
        config = self._space.config(start.params, start.seed, resolve=resolve)
        text = config.to_json()
        atomic_write(self._run.trial_config(start.trial_id), lambda staging: staging.write_text(text))
        return config

    def evaluation(self, trial_id: str, evaluation: Evaluation, node: str | None = None) -> bool:
        """Records an evaluation and what is decided there; returns whether the trial goes on.

        An evaluation that was recorded before the trial was restarted changes nothing.
        """
        with self._disk():
            trial = self.ledger[trial_id]
            if self._write(Eval(trial_id=trial_id, number=trial.number, node=node, **vars(evaluation))):
                self._decide(trial)
            return not trial.is_held

    def _decide(self, trial: TrialState) -> None:
        decision = self._decisions.pending(trial)
        if decision is not None:
            self._write(decision)

    def catch_up(self, completed_at: int | None = None) -> None:
        """Records what an earlier driver was killed before it could: the decision about a trial, or its end.

        Trials that have come to `completed_at` images are completed. Where that is None, a trial of full length has no
        end yet, and is handed out once more: its actor has the animation of its samples to make.
        """
        for trial in [trial for trial in self.ledger.values() if trial.end is None]:
            if completed_at is not None and trial.images >= completed_at:
                self.end(trial.trial_id, "completed", None)
                continue
            with self._disk():
                self._decide(trial)
            self.end_if_stopped(trial.trial_id)

    def end(
        self,
        trial_id: str,
        status: Status,
        reason: str | None,
        kimg: float | None = None,
        cause: Cause | None = None,
    ) -> None:
        with self._disk():
            self._write(self.ledger[trial_id].ended(status, reason, kimg, cause))

    def end_if_stopped(self, trial_id: str) -> None:
        """Ends a trial that the scheduler has stopped; one that waits stays open."""
        trial = self.ledger[trial_id]
        if trial.decisions and trial.decisions[-1].verdict == "stops":
            self.end(trial_id, "stopped", None)

    def end_waiting(self) -> None:
        """Ends the trials that wait: the search is complete."""
        for trial in list(self.ledger.values()):
            if trial.end is None and trial.is_held:
                self.end(trial.trial_id, "stopped", None)
        with self._disk():
            self._study.close()

    def note_failure(self, trial_id: str, text: str) -> None:
        """Adds what happened to a trial to its `error.txt`."""
        with self._disk(), self._run.trial_error(trial_id).open("a") as file:
            file.write(f"{now()} {text.rstrip()}\n")

    def noise(self, trial_id: str, kimg: float, fids: tuple[float, ...]) -> None:
        """Records the FIDs of a trial's best generator, that of `kimg`, with other z."""
        trial = self.ledger[trial_id]
        assert trial.best is not None
        protocol = trial.best.protocol
        with self._disk():
            self._write(Noise(trial_id=trial_id, number=trial.number, kimg=kimg, protocol=protocol, fids=fids))

    def _write(self, row: Row) -> bool:
        if self.ledger.is_duplicate(row):
            return False
        self._writer.append(row)
        self.ledger.add(row)
        self._decisions.note(row)
        self._history.update(self.ledger, row.trial_id)
        self._study.note(row)
        match row:
            case Eval():
                self.in_vain = 0
            case End(status="diverged" | "infeasible" | "failed"):
                self.in_vain += 1
        self._listener(row, self.ledger)
        return True

    @contextmanager
    def _disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.fault = self.fault or error
            raise
