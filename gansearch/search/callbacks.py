"""What Tune tells of its trials, written down; and the budgets that end a search early."""

import time
from dataclasses import fields
from pathlib import Path
from typing import Any

from ray.tune import Callback, Stopper

from gansearch.results import Evaluation, Ledger
from gansearch.search.recorder import Recorder


class Budget(Stopper):
    """Ends the search when its wall-clock seconds or its GPU hours are spent; what earlier drivers spent counts."""

    def __init__(self, ledger: Ledger, *, seconds: float | None, gpu_hours: float | None, gpus: float) -> None:
        self._ledger, self._gpu_hours, self._gpus = ledger, gpu_hours, gpus
        self._deadline = None if seconds is None else time.monotonic() + seconds
        self.spent: str | None = None

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        if self.spent is None and self._deadline is not None and time.monotonic() > self._deadline:
            self.spent = "the time budget is spent"
        if self.spent is None and self._gpu_hours is not None and self._used_hours() >= self._gpu_hours:
            self.spent = "the budget of GPU hours is spent"
        return self.spent is not None

    def _used_hours(self) -> float:
        """GPU hours of all evaluations so far (a CPU trial counts as its share of none: 0)."""
        rows = (row for trial in self._ledger.values() for row in trial.evals)
        return self._gpus * sum(row.train_seconds + row.eval_seconds for row in rows) / 3600


class TrialEvents(Callback):
    """Hands Tune's events to the recorder."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self.fault: OSError | None = None

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **_: Any) -> None:
        if "fid" in result:
            evaluation = Evaluation(**{field.name: result[field.name] for field in fields(Evaluation)})
            self._guarded(self._recorder.evaluation, trial.config["trial_id"], evaluation, result["node"])

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        trial_id, result = trial.config["trial_id"], trial.last_result or {}
        if "diverged" in result:
            self._guarded(self._recorder.end, trial_id, "diverged", result["diverged"], result["kimg"])
        elif result.get("images", 0) >= trial.config["max_images"]:
            self._guarded(self._recorder.end, trial_id, "completed", None)
        else:
            reason = f"ASHA: not among the best at {result['kimg']:g} kimg"
            self._guarded(self._recorder.end, trial_id, "stopped", reason)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        trial_id = trial.config["trial_id"]
        text = Path(trial.error_file).read_text() if trial.error_file else "the trial failed without a message"
        self._guarded((self._recorder.run.trial(trial_id) / "error.txt").write_text, text)
        self._guarded(self._recorder.end, trial_id, "failed", text.strip().splitlines()[-1])

    def _guarded(self, write: Any, *args: Any) -> None:
        """Remembers a disk that refuses a row, which Tune would report as an error of its own."""
        try:
            write(*args)
        except OSError as error:
            self.fault = error
            raise
