"""Callbacks of Tune: `TrialEvents` records what trials report, `BudgetStopper` ends a search before the last trial."""

import time
from dataclasses import fields
from pathlib import Path
from typing import Any

from ray.tune import Callback, Stopper

from gansearch.run.rows import Evaluation
from gansearch.search.recorder import Recorder
from gansearch.search.shutdown import GracefulShutdown


class BudgetStopper(Stopper):
    """Ends the search when it is interrupted, can't write any more, or has spent a budget.

    The wall-clock budget counts from the start of this driver. GPU hours are counted over all evaluations in the rows,
    also over those of earlier drivers.
    """

    def __init__(
        self,
        recorder: Recorder,
        shutdown: GracefulShutdown,
        *,
        seconds: float | None,
        gpu_hours: float | None,
        gpus: float,
    ) -> None:
        self._recorder, self._shutdown = recorder, shutdown
        self._gpu_hours, self._gpus = gpu_hours, gpus
        self._deadline = None if seconds is None else time.monotonic() + seconds

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return bool(self._shutdown.signal or self._recorder.fault or self.spent)

    @property
    def spent(self) -> str | None:
        """A sentence that names the budget that is spent; None where no budget is spent."""
        if self._deadline is not None and time.monotonic() > self._deadline:
            return "the time budget is spent"
        if self._gpu_hours is not None and self._recorder.ledger.gpu_hours(self._gpus) >= self._gpu_hours:
            return "the budget of GPU hours is spent"
        return None

    def __getstate__(self) -> dict[str, Any]:
        """Returns nothing: Tune pickles stoppers for Tune's own way of resuming, which is not used here."""
        return {}


def evaluation_of(result: dict[str, Any]) -> Evaluation:
    """Returns the evaluation in a result of `GANTrial`."""
    return Evaluation(**{field.name: result[field.name] for field in fields(Evaluation)})


class TrialEvents(Callback):
    """Passes Tune's events to the recorder."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **_: Any) -> None:
        if "fid" in result:  # of the last evaluation Tune does not tell the scheduler
            self._recorder.evaluation(trial.config["trial_id"], evaluation_of(result), result["node"])

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        trial_id, result = trial.config["trial_id"], trial.last_result or {}
        if "disk_full" in result:  # not the trial's fault: no end is recorded, so a resume continues the trial
            self._recorder.fault = self._recorder.fault or OSError(result["disk_full"])
        elif "diverged" in result:
            self._recorder.end(trial_id, "diverged", result["diverged"], result["kimg"])
        elif result.get("images", 0) >= trial.config["config"].train.max_images:
            self._recorder.end(trial_id, "completed", None)
        else:
            self._recorder.end_if_stopped(trial_id)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        text = Path(trial.error_file).read_text() if trial.error_file else "the trial failed without a message"
        self._recorder.failed(trial.config["trial_id"], text)
