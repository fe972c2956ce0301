"""Lets the recorder, which has the policy of the search, decide in Tune which trials go on."""

from typing import Any

from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from gansearch.search.ray.callbacks import TrialEvents, evaluation_of
from gansearch.search.recorder import Recorder


class RecordingScheduler(FIFOScheduler):
    """Records each evaluation, and stops the trial where it does not go on.

    For Tune a trial that waits for its promotion has ended. When it goes on, the searcher hands it out again as it does
    with an unfinished one. A trial that Tune itself paused would keep its slot from new proposals.
    """

    def __init__(self, recorder: Recorder, events: TrialEvents) -> None:
        super().__init__()
        self._recorder, self._events = recorder, events

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        self._events.take_back(tune_controller.stop_trial)
        return super().choose_trial_to_run(tune_controller)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        if "fid" not in result:
            return TrialScheduler.CONTINUE
        goes_on = self._recorder.evaluation(trial.config["trial_id"], evaluation_of(result), result["node"])
        return TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP
