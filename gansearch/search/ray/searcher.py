"""The searcher that Tune asks for trials: it takes them from a queue and records each as it starts."""

from typing import Any

from ray.tune.search import Searcher

from gansearch.config import TrialConfig
from gansearch.logs import warn_once
from gansearch.run.ledger import TrialState
from gansearch.search.queue import TrialQueue
from gansearch.search.recorder import Recorder


class QueueSearcher(Searcher):
    """Suggests the trials of a queue, and between them those that waited and are promoted.

    The recorder takes account of outcomes, so `on_trial_complete` does nothing. The searcher saves no state for
    Tune, because the rows of the run are the state.
    """

    def __init__(self, queue: TrialQueue, recorder: Recorder, constants: dict[str, Any]) -> None:
        """`constants` go into the Ray config of every trial."""
        super().__init__(metric="fid", mode="min")
        self._queue, self._recorder, self._constants = queue, recorder, constants
        self._handed_out: set[str] = set()

    def suggest(self, trial_id: str) -> Any:
        found = self._next()
        if found is None:
            # With None Tune asks again after the next event.
            return None if self._is_busy else Searcher.FINISHED
        trial, config = found
        self._handed_out.add(trial.trial_id)
        return {
            **self._constants,
            "trial_id": trial.trial_id,
            "config": config,
            "continues": trial.start.parent if trial.start.relation == "continuation" else None,
            "reported_images": trial.images,
        }

    def _next(self) -> tuple[TrialState, TrialConfig] | None:
        """Returns an unfinished trial, else a promoted one, else a new one; None where nothing is to start now."""
        queue, recorder = self._queue, self._recorder
        if queue.unfinished:
            trial = queue.unfinished.popleft()
            return trial, recorder.restart(trial)
        if queue.promotes:
            promoted = recorder.promote()
            if promoted is not None:
                return promoted, recorder.restart(promoted)
        started = self._new()
        if started is None and queue.promotes and queue.is_empty and not self._is_busy:
            promoted = recorder.promote(is_end=True)
            return None if promoted is None else (promoted, recorder.restart(promoted))
        return started

    def _new(self) -> tuple[TrialState, TrialConfig] | None:
        queue, recorder = self._queue, self._recorder
        if queue.new_trials() is None and recorder.is_in_vain:
            # Trials without an evaluation spend no GPU hours: the search would never end.
            warn_once(
                f"{recorder.in_vain} trials in a row diverged or failed before any evaluation: no new one is started; "
                "see in `status` what is wrong, fix that, then resume"
            )
            return None
        proposal = queue.next_proposal()
        if proposal is None:
            return None
        started = recorder.start(proposal)
        if started is None:
            warn_once("all parameters of this space have been tried: no new trial is started")
            queue.exhaust()
        return started

    @property
    def _is_busy(self) -> bool:
        """Whether a trial that was handed out is still running, so that its result can decide what starts next."""
        ledger = self._recorder.ledger
        self._handed_out = {trial_id for trial_id in self._handed_out if ledger[trial_id].status == "running"}
        return bool(self._handed_out)

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
