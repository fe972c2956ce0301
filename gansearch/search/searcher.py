"""Tune's searcher: hands out trials, first those that an interruption left unfinished, then new ones."""

from collections import deque
from typing import Any

from ray.tune.search import Searcher

from gansearch.config import TrialConfig
from gansearch.results import TrialState
from gansearch.search.recorder import Recorder
from gansearch.search.space import Space


class SpaceSearcher(Searcher):
    """Suggests trials of a space until `trials` of them have started.

    Outcomes reach the study through the recorder: here Tune only asks. What Tune would save of it is empty, because
    the rows of the run are the state.
    """

    def __init__(
        self,
        space: Space,
        recorder: Recorder,
        *,
        trials: int,
        seed: int,
        retry: list[TrialState],
        constants: dict[str, Any],
    ) -> None:
        """`retry` are failed trials to be run again as new ones; `constants` go into every trial's Ray config."""
        super().__init__(metric="fid", mode="min")
        self._space, self._recorder, self._trials, self._seed = space, recorder, trials, seed
        self._constants = constants
        ledger = recorder.ledger
        self._unfinished = deque(trial for trial in ledger.values() if trial.end is None)
        retried = {trial.start.retry_of for trial in ledger.values()}
        self._retry = deque(trial for trial in retry if trial.trial_id not in retried)

    @property
    def remaining(self) -> int:
        """How many trials it is yet to hand out."""
        started = sum(trial.start.retry_of is None for trial in self._recorder.ledger.values())
        return len(self._unfinished) + len(self._retry) + max(0, self._trials - started)

    def suggest(self, trial_id: str) -> Any:
        if not self.remaining:
            return Searcher.FINISHED
        trial = self._unfinished.popleft() if self._unfinished else self._new()
        return {
            **self._constants,
            "trial_id": trial.trial_id,
            "config": self._recorder.run.trial_config(trial.trial_id).read_text(),
            "reported_images": round(trial.kimg * 1000),
        }

    def _new(self) -> TrialState:
        recorder = self._recorder
        if self._retry:
            failed = self._retry.popleft()
            return recorder.start(failed.start.params, failed.start.origin, self._config, retry_of=failed.trial_id)
        begun = {trial.start.origin for trial in recorder.ledger.values()}
        for name in self._space.baselines:
            if f"baseline:{name}" not in begun:
                return recorder.start(self._space.baseline(name), f"baseline:{name}", self._config)
        return recorder.start(None, "sampled", self._config)

    def _config(self, params: dict[str, Any]) -> TrialConfig:
        """Trials share the search's seed: they differ by what is searched, not by luck."""
        return self._space.config(params, self._seed)

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
