"""What ends a search before its last trial: a signal, a fault, too many failures or a budget."""

import time
from typing import Any

from ray.tune import Stopper

from gansearch.run.manifest import Plan
from gansearch.search.health import Health
from gansearch.search.recorder import Recorder
from gansearch.search.shutdown import GracefulShutdown


class Limits(Stopper):
    """Ends the search when it is interrupted, can't write any more, fails too often, or has spent a budget.

    The wall-clock budget counts from the start of this driver. GPU hours are counted over all evaluations in the rows,
    also over those of earlier drivers. What is left of a budget is not begun to be spent where it would lead nowhere:
    to no evaluation, or with a new trial to no rung.

    Args:
        plan: The plan of the search, with its budgets.
        gpus: The share of a GPU, or the number of GPUs, of a trial.
        recorder: Writes the rows.
        health: Judges the failures.
        shutdown: Has the signal.
    """

    def __init__(self, plan: Plan, gpus: float, recorder: Recorder, health: Health, shutdown: GracefulShutdown) -> None:
        self._gpus, self._recorder, self._health, self._shutdown = gpus, recorder, health, shutdown
        self._gpu_hours, seconds = plan.options.gpu_hours, plan.options.time_budget
        self._deadline = None if seconds is None else time.monotonic() + seconds
        self._first_rung = plan.rungs[0] // plan.space.base.train.eval_images
        self._too_short: str | None = None

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return bool(self._shutdown.signal or self._recorder.fault or self._health.ends or self._spent)

    @property
    def reached(self) -> str | None:
        """A sentence that names the budget of which nothing is left, or too little; None where there is none."""
        return self._spent or self._too_short

    @property
    def _spent(self) -> str | None:
        if self._deadline is not None and time.monotonic() > self._deadline:
            return "the time budget is spent"
        if self._gpu_hours is not None and self._recorder.ledger.gpu_hours(self._gpus) >= self._gpu_hours:
            return "the budget of GPU hours is spent"
        return None

    def allow_interval(self, running: int) -> bool:
        """Returns whether one more trial beside those that are `running` can come to its next evaluation."""
        return self._allow(1, running)

    def allow_new(self, running: int) -> bool:
        """Returns whether a new trial beside those that are `running` can come to the first rung."""
        return self._allow(self._first_rung, running)

    def _allow(self, evaluations: int, running: int) -> bool:
        needed = evaluations * self._recorder.ledger.mean_interval
        budget = None
        if self._deadline is not None and time.monotonic() + needed > self._deadline:
            budget = "the time budget"
        elif self._gpu_hours is not None:
            left = self._gpu_hours - self._recorder.ledger.gpu_hours(self._gpus)
            budget = "the budget of GPU hours" if needed * self._gpus * (running + 1) / 3600 > left else None
        if budget is not None:
            self._too_short = f"{budget} is nearly spent: no other trial would come to a rung"
        return budget is None

    def __getstate__(self) -> dict[str, Any]:
        """Returns nothing: Tune pickles stoppers for Tune's own way of resuming, which is not used here."""
        return {}
