"""The searcher that Tune asks for trials: it takes them from a queue and records each as it starts."""

from typing import Any

from ray.tune.search import Searcher

from gansearch.run.ledger import Ledger
from gansearch.search.queue import TrialQueue
from gansearch.search.recorder import Recorder


class QueueSearcher(Searcher):
    """Suggests the trials of a queue.

    The recorder reports outcomes to the study, so `on_trial_complete` does nothing. The searcher saves no state for
    Tune, because the rows of the run are the state.
    """

    def __init__(self, queue: TrialQueue, recorder: Recorder, constants: dict[str, Any]) -> None:
        """`constants` go into the Ray config of every trial."""
        super().__init__(metric="fid", mode="min")
        self._queue, self._recorder, self._constants = queue, recorder, constants

    def suggest(self, trial_id: str) -> Any:
        if not self._queue:
            return Searcher.FINISHED
        if self._queue.unfinished:
            trial = self._queue.unfinished.popleft()
            config = self._recorder.restart(trial)
        else:
            trial, config = self._recorder.start(self._queue.proposals.popleft())
        ledger: Ledger = self._recorder.ledger
        return {
            **self._constants,
            "trial_id": trial.trial_id,
            "config": config,
            "continues": trial.start.parent if trial.start.relation == "continuation" else None,
            "root_id": None if trial.is_final else ledger.root_id(trial.trial_id),
            "reported_images": trial.images,
        }

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        pass

    def save(self, checkpoint_path: str) -> None:
        pass

    def restore(self, checkpoint_path: str) -> None:
        pass

    def get_state(self) -> dict[str, Any]:
        return {}

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        pass
