"""The driver's pen: what happens to a trial goes, in this order, to its files, to `results.jsonl`, to the study."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from gansearch.cache import atomic_write
from gansearch.config import TrialConfig
from gansearch.run.ledger import Ledger, TrialState
from gansearch.run.paths import RunDir
from gansearch.run.rows import Eval, Evaluation, Row, Start, Status, Writer
from gansearch.search.agenda import Proposal
from gansearch.search.study import Study

Listener = Callable[[Row, Ledger], None]


class Recorder:
    """Keeps the ledger, the rows and the study in step. Nothing is recorded twice.

    `fault` is the first refusal of the disk: Tune would pass it on as an error of its own.
    """

    def __init__(self, run: RunDir, writer: Writer, ledger: Ledger, study: Study, listener: Listener) -> None:
        self.run, self.ledger, self.study = run, ledger, study
        self._writer, self._listener = writer, listener
        self.fault: OSError | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles what it is given, for a way of resuming that is not used here."""
        return {}

    def start(self, proposal: Proposal, config: Callable[[dict[str, Any], int], TrialConfig]) -> TrialState:
        """A new trial, its configuration made of parameters and seed; that is on disk before the row is."""
        with self._disk():
            number = len(self.ledger)
            params = self.study.propose(number, proposal.params, counts=proposal.relation != "final")
            trial_id = f"{number:04d}"
            self.configure(trial_id, config(params, proposal.seed))
            row = Start(
                trial_id=trial_id,
                number=number,
                params=params,
                origin=proposal.origin,
                seed=proposal.seed,
                parent=proposal.parent,
                relation=proposal.relation,
            )
            self._write(row)
        return self.ledger[trial_id]

    def configure(self, trial_id: str, config: TrialConfig) -> None:
        """Writes a trial's configuration, whole or not at all."""
        path = self.run.trial_config(trial_id)
        with self._disk():
            atomic_write(path, lambda staging: staging.write_text(config.to_json()))

    def evaluation(self, trial_id: str, evaluation: Evaluation, node: str | None = None) -> None:
        """An evaluation; one that is known already (from before a trial was restarted) is passed over."""
        with self._disk():
            row = Eval(trial_id=trial_id, number=self.ledger[trial_id].number, node=node, **vars(evaluation))
            if self._write(row):
                self.study.observe(row)

    def end(self, trial_id: str, status: Status, reason: str | None, kimg: float | None = None) -> None:
        with self._disk():
            row = self.ledger[trial_id].ended(status, reason, kimg)
            if self._write(row):
                self.study.finish(row, self.ledger.way(trial_id))

    def failed(self, trial_id: str, traceback: str) -> None:
        """A trial that raised: all of it into `error.txt`, the last line as the reason."""
        with self._disk():
            self.run.trial_error(trial_id).write_text(traceback)
        self.end(trial_id, "failed", traceback.strip().splitlines()[-1])

    def _write(self, row: Row) -> bool:
        if self.ledger.knows(row):
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
