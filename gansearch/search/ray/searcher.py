"""The searcher that Tune asks for trials: it takes them from a queue and records each as it starts."""

from typing import Any

from ray.tune.search import Searcher

from gansearch.config import TrialConfig
from gansearch.logs import warn_once
from gansearch.run.ledger import TrialState
from gansearch.search.queue import TrialQueue
from gansearch.search.ray.limits import Limits
from gansearch.search.ray.placement import Placement
from gansearch.search.recorder import Recorder


class QueueSearcher(Searcher):
    """Suggests the trials of a queue, and between them those that waited and are promoted.

    A trial is proposed when there is a slot for it and no earlier, so that its sampler knows all that is known then.
    The recorder takes account of outcomes. The searcher saves no state for Tune, because the rows of the run are the
    state.

    Args:
        queue: The trials to start.
        recorder: Starts them.
        placement: Says how many trials may run at once, and on which nodes.
        limits: Say whether anything more is to start. While Tune waits for a trial, it asks nobody else.
        constants: Go into the Ray config of every trial.
    """

    def __init__(
        self,
        queue: TrialQueue,
        recorder: Recorder,
        placement: Placement,
        limits: Limits,
        constants: dict[str, Any],
    ) -> None:
        super().__init__(metric="fid", mode="min")
        self._queue, self._recorder, self._placement = queue, recorder, placement
        self._limits, self._constants = limits, constants
        self._handed_out: dict[str, str] = {}  # trial ids by Tune's

    def suggest(self, trial_id: str) -> Any:
        if self._limits.stop_all():
            return Searcher.FINISHED
        slots = self._placement.slots(len(self._handed_out))
        if not slots and not self._handed_out:
            warn_once("no node has room for a trial: waiting for one")
        if len(self._handed_out) >= slots:
            return None
        found = self._next()
        if found is None:
            # With None Tune asks again after the next event.
            return None if self._handed_out else Searcher.FINISHED
        trial, config = found
        self._handed_out[trial_id] = trial.trial_id
        return {
            **self._constants,
            "trial_id": trial.trial_id,
            "config": config,
            "continues": self._recorder.ledger.source(trial.trial_id),
            "reported_images": trial.images,
            "avoid": self._placement.avoided(trial.trial_id),
        }

    def _next(self) -> tuple[TrialState, TrialConfig] | None:
        """Returns the trial that starts now; None where none does.

        An unfinished one is the first, then one that is promoted, then a new one. After a failure one that has not
        failed yet comes first, if there is any: unfinished ones may be those that failed under an earlier driver.
        """
        queue = self._queue
        if not self._limits.allow_interval(len(self._handed_out)):
            return None
        if not queue.another_first and (earlier := queue.earlier()) is not None:
            return self._restarted(earlier)
        found = self._promoted() or self._new()
        queue.another_first = False
        if found is None and (earlier := queue.earlier()) is not None:
            return self._restarted(earlier)
        if found is None and queue.is_empty and not self._handed_out:
            return self._promoted(is_end=True)
        return found

    def _restarted(self, trial: TrialState) -> tuple[TrialState, TrialConfig]:
        return trial, self._recorder.restart(trial)

    def _promoted(self, *, is_end: bool = False) -> tuple[TrialState, TrialConfig] | None:
        trial = self._recorder.promote(is_end=is_end) if self._queue.promotes else None
        return None if trial is None else self._restarted(trial)

    def _new(self) -> tuple[TrialState, TrialConfig] | None:
        queue, recorder = self._queue, self._recorder
        if queue.new_trials() is None and recorder.is_in_vain:
            # Trials without an evaluation spend no GPU hours: the search would never end.
            warn_once(
                f"{recorder.in_vain} trials in a row diverged, failed or did not fit before any evaluation: no new one "
                "is started; see in `status` what is wrong, fix that, then resume"
            )
            return None
        if queue.new_trials() == 0 or not self._limits.allow_new(len(self._handed_out)):
            return None
        proposal = queue.next_proposal()
        if proposal is None:
            return None
        started = recorder.start(proposal)
        if started is None:
            warn_once("all parameters of this space have been tried: no new trial is started")
            queue.exhaust()
        return started

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        self._handed_out.pop(trial_id, None)

    def save(self, checkpoint_path: str) -> None:
        pass

    def restore(self, checkpoint_path: str) -> None:
        pass

    def get_state(self) -> dict[str, Any]:
        return {}

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        pass
