"""ASHA on FID. Rungs fall exactly on evaluations, and the rows of an interrupted search are replayed."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from ray.tune.schedulers import ASHAScheduler, TrialScheduler

from gansearch.run.ledger import Ledger

_NO_CONTROLLER: Any = None  # ASHA does not use the controller


class ResumableASHA(ASHAScheduler):
    """Tune's ASHA of the stopping type. Time is counted in images, which are whole numbers, so rungs are met exactly.

    A trial is known by the `asha_id` in its Ray config, which outlives Ray's own id: a resumed trial, and one that
    continues another, has passed the rungs that were passed before. A trial whose `asha_id` is None is never stopped.
    """

    def __init__(self, rungs: Sequence[int], eta: int) -> None:
        """`rungs` are in images, the full length last; `gansearch.run.manifest.rungs` returns them for `eta`."""
        self._full = rungs[-1]
        super().__init__(
            time_attr="images", metric="fid", mode="min", max_t=rungs[-1], grace_period=rungs[0], reduction_factor=eta
        )

    def replay(self, ledger: Ledger) -> list[str]:
        """Replays earlier rows in the order of their times, and returns the running trials that were to be stopped.

        A trial that has reached the full length is complete, so it is not returned.
        """
        ids = {trial.trial_id: ledger.root_id(trial.trial_id) for trial in ledger.values() if not trial.is_final}
        for asha_id in set(ids.values()):
            self._add(asha_id)
        decisions: dict[str, str] = {}
        rows = sorted((row for trial_id in ids for row in ledger[trial_id].evals), key=lambda row: row.time)
        for row in rows:
            result = {"images": row.images, "fid": row.fid}
            decision = super().on_trial_result(_NO_CONTROLLER, _named(ids[row.trial_id]), result)
            decisions[row.trial_id] = decision if row.images < self._full else TrialScheduler.CONTINUE
        for asha_id in set(ids.values()):
            super().on_trial_remove(_NO_CONTROLLER, _named(asha_id))
        return [
            trial_id
            for trial_id, decision in decisions.items()
            if ledger[trial_id].end is None and decision == TrialScheduler.STOP
        ]

    def _add(self, asha_id: str) -> None:
        super().on_trial_add(_NO_CONTROLLER, _named(asha_id))

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        if asha_id := trial.config["asha_id"]:
            self._add(asha_id)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        asha_id = trial.config["asha_id"]
        if asha_id is None:
            return TrialScheduler.CONTINUE
        return super().on_trial_result(tune_controller, _named(asha_id), result)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        if asha_id := trial.config["asha_id"]:
            super().on_trial_complete(tune_controller, _named(asha_id), result)

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        if asha_id := trial.config["asha_id"]:
            super().on_trial_remove(tune_controller, _named(asha_id))


def _named(asha_id: str) -> Any:
    """Returns an object with the one attribute of a trial that ASHA reads."""
    return SimpleNamespace(trial_id=asha_id)
