"""Drives a searcher, a scheduler and callbacks of Ray Tune in the order in which Tune's controller does.

That is `ray/tune/execution/tune_controller.py`: `_process_trial_result` and `stop_trial`. Ray is not started, and a
trial is an object with the attributes that these parts read.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ray.tune import Callback
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import ConcurrencyLimiter, Searcher

from benchmarks.search_replay.simulate import Report, Task
from gansearch.run.rows import Evaluation

_CONTROLLER: Any = None  # Tune's controller, which none of the parts looks at
_SECONDS = 3600  # a full training takes an hour of the rows' time


@dataclass(eq=False)
class TuneTrial:
    """A trial of Tune's: started once, and gone when it has ended."""

    trial_id: str
    config: dict[str, Any]
    last_result: dict[str, Any] = field(default_factory=dict)
    results: int = 0


class Tune:
    """A `Method` of Tune's parts.

    Args:
        searcher: Proposes configurations, at most as many at once as there are workers.
        scheduler: Decides which trials go on.
        task: Makes the task of Tune's id of a trial and its configuration.
        interval: The images between two evaluations.
        workers: How many trials run at once.
        callbacks: See every result and every end.
    """

    def __init__(
        self,
        searcher: Searcher,
        scheduler: TrialScheduler,
        task: Callable[[str, dict[str, Any]], Task],
        interval: int,
        workers: int,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        self._searcher, self._scheduler = ConcurrencyLimiter(searcher, workers), scheduler
        self._task, self._interval, self._callbacks = task, interval, callbacks
        self._running: dict[str, Any] = {}  # by the task's trial
        self._created, self._finished = 0, False

    def ask(self) -> Task | None:
        if self._finished:
            return None
        trial_id = f"{self._created:08d}"
        config = self._searcher.suggest(trial_id)
        self._finished = config == Searcher.FINISHED
        if self._finished or config is None:
            return None
        self._created += 1
        trial: Any = TuneTrial(trial_id, config)
        self._scheduler.on_trial_add(_CONTROLLER, trial)
        task = self._task(trial_id, config)
        self._running[task.trial] = trial
        for callback in self._callbacks:
            callback.on_trial_start(0, [], trial)
        return task

    def report(self, task: Task, report: Report) -> bool:
        trial = self._running[task.trial]
        trial.results += 1
        result = {**_result(report, self._interval), "training_iteration": trial.results, "trial_id": trial.trial_id}
        # A trial that ends by itself is stopped before the scheduler sees its last result.
        decision = (
            TrialScheduler.STOP if report.is_last else self._scheduler.on_trial_result(_CONTROLLER, trial, result)
        )
        if decision == TrialScheduler.STOP:
            result["done"] = True
        else:
            self._searcher.on_trial_result(trial.trial_id, result)
        for callback in self._callbacks:
            callback.on_trial_result(0, [], trial, result)
        trial.last_result = result
        if decision == TrialScheduler.STOP:
            self._stop(task, trial)
        return decision == TrialScheduler.CONTINUE

    def _stop(self, task: Task, trial: Any) -> None:
        del self._running[task.trial]
        self._scheduler.on_trial_complete(_CONTROLLER, trial, trial.last_result)
        self._searcher.on_trial_complete(trial.trial_id, result=trial.last_result)
        for callback in self._callbacks:
            callback.on_trial_complete(0, [], trial)


def _result(report: Report, interval: int) -> dict[str, Any]:
    """Returns a report as `GANTrial.step` returns it."""
    if report.fid is None:  # the training diverged half-way to this evaluation
        kimg = (report.evaluation - 0.5) * interval / 1000
        return {"diverged": "the loss of D is not finite", "kimg": kimg, "done": True}
    evaluation = Evaluation(
        kimg=report.evaluation * interval / 1000,
        fid=report.fid,
        protocol="replay",
        train_seconds=report.time * _SECONDS,
        eval_seconds=0.0,
        d_loss_real=0.0,
        d_loss_fake=0.0,
        g_loss=0.0,
        images_per_second=interval / (report.time * _SECONDS),
    )
    return {**asdict(evaluation), "images": evaluation.images, "node": None, "done": report.is_last}
