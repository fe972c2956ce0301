"""Tune's searcher: hands out the trials of an agenda, and notes each in the run's files as it starts."""

from typing import Any

from ray.tune.search import Searcher

from gansearch.results import TrialState
from gansearch.search.agenda import Agenda, Proposal
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
        trial = agenda.unfinished.popleft() if agenda.unfinished else self._begun(agenda.proposals.popleft())
        config = self._space.config(trial.start.params, trial.start.seed)
        self._recorder.configure(trial.trial_id, config)
        return {
            **self._constants,
            "trial_id": trial.trial_id,
            "config": config.to_json(),
            "continues": trial.start.parent if trial.start.relation == "longer" else None,
            "asha_id": None if trial.is_final else ledger.first(trial.trial_id),
            "reported_images": trial.images,
        }

    def _begun(self, proposal: Proposal) -> TrialState:
        return self._recorder.start(
            proposal.params,
            proposal.origin,
            lambda params: self._space.config(params, proposal.seed),
            proposal.parent,
            proposal.relation,
        )

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
