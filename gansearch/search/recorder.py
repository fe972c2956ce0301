"""Records what happens to a trial, in this order: in the trial's files, in `results.jsonl` and in the study."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gansearch.cache import atomic_write
from gansearch.config import TrialConfig
from gansearch.registry import build, resolve
from gansearch.run.ledger import Ledger, TrialState
from gansearch.run.manifest import Plan
from gansearch.run.rows import Eval, Evaluation, Row, Start, Status, Writer, trial_id_of
from gansearch.search.loggers.base import Listener
from gansearch.search.queue import Proposal
from gansearch.search.samplers.base import Sampler
from gansearch.search.study import Study


class Recorder:
    """Records the events of trials, so that ledger, rows and study agree. No event is recorded twice.

    `fault` is the first error of a write to the disk. Tune would hide this error behind one of Tune's own.
    """

    def __init__(self, plan: Plan, writer: Writer, ledger: Ledger, listener: Listener) -> None:
        self.ledger = ledger
        self.fault: OSError | None = None
        self._run, self._space = plan.run, plan.space
        self._writer, self._listener = writer, listener
        sampler: Sampler = build("sampler", plan.options.sampler)
        self._study = Study(plan.run.study_journal, plan.run.name, plan.space, ledger, plan.options.seed, sampler)

    def __getstate__(self) -> dict[str, Any]:
        """Returns nothing: Tune pickles this object for Tune's own way of resuming, which is not used here."""
        return {}

    def start(self, proposal: Proposal) -> tuple[TrialState, TrialConfig]:
        """Starts a new trial. The configuration is written to the disk before the start row."""
        with self._disk():
            number = self.ledger.next_number
            params = self._study.propose(number, proposal.params, counts=proposal.relation != "final")
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
        """Writes and returns the configuration of an unfinished trial, as an extended search has a new length."""
        with self._disk():
            return self._configure(trial.start)

    def _configure(self, start: Start) -> TrialConfig:
        config = self._space.config(start.params, start.seed, resolve=resolve)
        text = config.to_json()
        atomic_write(self._run.trial_config(start.trial_id), lambda staging: staging.write_text(text))
        return config

    def evaluation(self, trial_id: str, evaluation: Evaluation, node: str | None = None) -> None:
        """Records an evaluation. An evaluation that was recorded before the trial was restarted changes nothing."""
        with self._disk():
            row = Eval(trial_id=trial_id, number=self.ledger[trial_id].number, node=node, **vars(evaluation))
            if self._write(row):
                self._study.observe(row)

    def end(self, trial_id: str, status: Status, reason: str | None, kimg: float | None = None) -> None:
        with self._disk():
            row = self.ledger[trial_id].ended(status, reason, kimg)
            if self._write(row):
                self._study.finish(row, self.ledger.history(trial_id))

    def failed(self, trial_id: str, traceback: str) -> None:
        """Records a trial that raised an error: the traceback in `error.txt`, the last line as the reason."""
        with self._disk():
            self._run.trial_error(trial_id).write_text(traceback)
        self.end(trial_id, "failed", traceback.strip().splitlines()[-1])

    def _write(self, row: Row) -> bool:
        if self.ledger.is_duplicate(row):
            return False
        self._writer.append(row)
        self.ledger.add(row)
        self._listener(row, self.ledger)
        return True

    @contextmanager
    def _disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.fault = self.fault or error
            raise
