"""Tune's searcher: hands out the trials of an agenda, and notes each in the run's files as it starts."""

from typing import Any

from ray.tune.search import Searcher

from gansearch.search.agenda import Agenda
from gansearch.search.recorder import Recorder
from gansearch.search.space import Space


class SpaceSearcher(Searcher):
    """Suggests the trials of an agenda.

    Outcomes reach the study through the recorder: here Tune only asks. What Tune would save of it is empty, because
    the rows of the run are the state.
    """

    def __init__(self, space: Space, recorder: Recorder, agenda: Agenda, constants: dict[str, Any]) -> None:
        """`constants` go into every trial's Ray config."""
        super().__init__(metric="fid", mode="min")
        self._space, self._recorder, self._agenda, self._constants = space, recorder, agenda, constants

    def suggest(self, trial_id: str) -> Any:
        agenda, ledger = self._agenda, self._recorder.ledger
        if not agenda:
            return Searcher.FINISHED
        if agenda.unfinished:
            trial = agenda.unfinished.popleft()
            # Anew: its search may have been given more length since it started.
            self._recorder.configure(trial.trial_id, self._space.config(trial.start.params, trial.start.seed))
        else:
            trial = self._recorder.start(agenda.proposals.popleft(), self._space.config)
        return {
            **self._constants,
            "trial_id": trial.trial_id,
            "config": self._recorder.run.trial_config(trial.trial_id).read_text(),
            "continues": trial.start.parent if trial.start.relation == "longer" else None,
            "asha_id": None if trial.is_final else ledger.first(trial.trial_id),
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
