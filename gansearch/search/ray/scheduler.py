"""Lets a policy of the search decide in Tune which trials go on."""

from collections.abc import Sequence
from typing import Any

from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from gansearch.run.ledger import Ledger
from gansearch.search.schedulers.base import Policy


class PolicyScheduler(FIFOScheduler):
    """Starts trials in the order of the queue and stops those that a policy does not let go on.

    A trial is known by the `root_id` in its Ray config, which outlives Ray's own id: a resumed trial, and one that
    continues another, has passed the rungs that were passed before. A trial whose `root_id` is None is never stopped.
    """

    def __init__(self, policy: Policy, rungs: Sequence[int]) -> None:
        super().__init__()
        self._policy, self._full = policy, rungs[-1]

    def replay(self, ledger: Ledger) -> list[str]:
        """Replays earlier rows in the order of their times, and returns the running trials that were to be stopped."""
        ids = {trial.trial_id: ledger.root_id(trial.trial_id) for trial in ledger.values() if not trial.is_final}
        rows = sorted((row for trial_id in ids for row in ledger[trial_id].evals), key=lambda row: row.time)
        goes_on = {row.trial_id: self._goes_on(ids[row.trial_id], row.images, row.fid) for row in rows}
        return [trial_id for trial_id, on in goes_on.items() if not on and ledger[trial_id].end is None]

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        root_id = trial.config["root_id"]
        if root_id is None or "fid" not in result or self._goes_on(root_id, result["images"], result["fid"]):
            return TrialScheduler.CONTINUE
        return TrialScheduler.STOP

    def _goes_on(self, root_id: str, images: int, fid: float) -> bool:
        return images >= self._full or self._policy(root_id, images, fid)
