"""The losses of some trials against kimg."""

from typing import NamedTuple

from gansearch.analysis.info.trials import leaders
from gansearch.run.ledger import TrialState
from gansearch.run.loaded import Run

LEADERS = 5


class LossCurves(NamedTuple):
    """The losses of a trial at each evaluation: those of D on real and on generated images, and that of G.

    `loss` is the name of the loss: losses with other names have other units, and only their course can be compared.
    """

    trial_id: str
    loss: str
    kimg: list[float]
    d_real: list[float]
    d_fake: list[float]
    g: list[float]


def losses_info(run: Run) -> list[LossCurves]:
    """Returns the losses of the five best trials, the one that stands for the winner of the search first."""
    return [loss_curves(run, trial) for trial in leaders(run, LEADERS)]


def loss_curves(run: Run, trial: TrialState) -> LossCurves:
    """Returns the losses of a trial, and before them those of the trial that it continues."""
    rows = run.ledger.history(trial.trial_id)
    return LossCurves(
        trial_id=trial.trial_id,
        loss=str(trial.start.params.get("loss.name", run.manifest.space.base.loss.name)),
        kimg=[row.kimg for row in rows],
        d_real=[row.d_loss_real for row in rows],
        d_fake=[row.d_loss_fake for row in rows],
        g=[row.g_loss for row in rows],
    )
