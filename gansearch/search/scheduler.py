"""ASHA on FID, with rungs that fall exactly on evaluations, and that knows the rows of an interrupted search."""

from types import SimpleNamespace
from typing import Any

from ray.tune.schedulers import ASHAScheduler, TrialScheduler

from gansearch.config import TrainConfig
from gansearch.results import Ledger
from gansearch.search.rungs import rungs

_NO_CONTROLLER: Any = None  # ASHA does not look at it


class KimgASHA(ASHAScheduler):
    """Tune's ASHA, stopping type, with images shown (whole numbers: rungs are met exactly) as its time.

    Trials go by the run's own ids, which outlive Ray's, so that a resumed trial keeps the rungs it has passed.
    """

    def __init__(self, train: TrainConfig, eta: int) -> None:
        super().__init__(
            time_attr="images",
            metric="fid",
            mode="min",
            max_t=train.max_images,
            grace_period=rungs(train, eta)[0],
            reduction_factor=eta,
        )

    def replay(self, ledger: Ledger) -> list[str]:
        """Takes in earlier rows in their order in time; returns the running trials that were to be stopped.

        One that has come to its full length is not among them: it was not stopped, it is complete.
        """
        for trial in ledger.values():
            self._add(trial.trial_id)
        rows = sorted((row for trial in ledger.values() for row in trial.evals), key=lambda row: row.time)
        decisions = {}
        for row in rows:
            result = {"images": row.images, "fid": row.fid}
            decision = super().on_trial_result(_NO_CONTROLLER, _named(row.trial_id), result)
            decisions[row.trial_id] = decision if row.images < self._max_t else TrialScheduler.CONTINUE
        for trial in ledger.values():
            self.on_trial_remove(_NO_CONTROLLER, _own(trial.trial_id))
        return [
            trial.trial_id
            for trial in ledger.values()
            if trial.end is None and decisions.get(trial.trial_id) == TrialScheduler.STOP
        ]

    def _add(self, trial_id: str) -> None:
        super().on_trial_add(_NO_CONTROLLER, _named(trial_id))

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        self._add(trial.config["trial_id"])

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        return super().on_trial_result(tune_controller, _named(trial.config["trial_id"]), result)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        super().on_trial_complete(tune_controller, _named(trial.config["trial_id"]), result)

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        super().on_trial_remove(tune_controller, _named(trial.config["trial_id"]))


def _named(trial_id: str) -> Any:
    """All that ASHA looks at in a trial."""
    return SimpleNamespace(trial_id=trial_id)


def _own(trial_id: str) -> Any:
    return SimpleNamespace(config={"trial_id": trial_id})
