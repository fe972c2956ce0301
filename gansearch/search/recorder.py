"""The driver's pen: what happens to a trial goes, in this order, to its files, to `results.jsonl`, to the study."""

from collections.abc import Callable
from typing import Any

from gansearch.config import TrialConfig
from gansearch.results import Eval, Evaluation, Ledger, Row, Start, Status, TrialState, Writer
from gansearch.run_dir import RunDir
from gansearch.search.study import Study

Listener = Callable[[Row, Ledger], None]


class Recorder:
    """Keeps the ledger, the rows and the study in step. Nothing is recorded twice."""

    def __init__(self, run: RunDir, writer: Writer, ledger: Ledger, study: Study, listener: Listener) -> None:
        self.run, self.ledger, self.study = run, ledger, study
        self._writer, self._listener = writer, listener

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles what it is given, for a way of resuming that is not used here."""
        return {}

    def start(self, config: TrialConfig, params: dict[str, Any], origin: str) -> TrialState:
        """A new trial: its configuration is on disk before its row is."""
        number = len(self.ledger)
        row = Start(trial_id=f"{number:04d}", number=number, params=params, origin=origin, seed=config.seed)
        path = self.run.trial_config(row.trial_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(config.to_json())
        self._write(row)
        return self.ledger[row.trial_id]

    def evaluation(self, trial_id: str, evaluation: Evaluation, node: str | None = None) -> None:
        """An evaluation; one that is known already (from before a trial was restarted) is passed over."""
        row = Eval(trial_id=trial_id, number=self.ledger[trial_id].number, node=node, **vars(evaluation))
        if self._write(row):
            self.study.observe(row)

    def end(self, trial_id: str, status: Status, reason: str | None, kimg: float | None = None) -> None:
        row = self.ledger[trial_id].ended(status, reason, kimg)
        if self._write(row):
            self.study.finish(row)

    def _write(self, row: Row) -> bool:
        if self.ledger.knows(row):
            return False
        self._writer.append(row)
        self.ledger.add(row)
        self._listener(row, self.ledger)
        return True
