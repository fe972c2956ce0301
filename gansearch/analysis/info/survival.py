"""How many trials came to each rung, and what became of those that came no further."""

from collections import Counter
from typing import Literal, NamedTuple

from gansearch.analysis.info.trials import searched
from gansearch.run.ledger import TrialState
from gansearch.run.loaded import Run
from gansearch.run.rows import images_of

Fate = Literal["went on", "completed", "running", "waiting", "stopped", "diverged", "infeasible", "failed"]
FATES: tuple[Fate, ...] = ("went on", "completed", "running", "waiting", "stopped", "diverged", "infeasible", "failed")


class Stage(NamedTuple):
    """The trials that came to a rung.

    Args:
        kimg: The rung; 0 for the start of the search.
        trials: How many came there.
        fates: How many of them have each fate. `went on` came to the next rung; the others ended, wait or train before
            that one.
    """

    kimg: float
    trials: int
    fates: dict[Fate, int]


def survival_info(run: Run) -> list[Stage]:
    """Returns the start of the search and each rung, the full length last; empty for a trial alone."""
    rungs = run.manifest.rungs_kimg
    lengths = [0, *map(images_of, rungs)] if rungs else []
    trials = searched(run)
    stages = []
    for at, images in enumerate(lengths):
        here = [trial for trial in trials if _reached(run, trial) >= images]
        following = lengths[at + 1] if at + 1 < len(lengths) else None
        count = Counter(_fate(run, trial, following) for trial in here)
        stages.append(Stage(images / 1000, len(here), {fate: count[fate] for fate in FATES}))
    return stages


def _reached(run: Run, trial: TrialState) -> int:
    """Returns the images of the last evaluation of a trial, or of the one that it continues."""
    rows = run.ledger.history(trial.trial_id)
    return rows[-1].images if rows else 0


def _fate(run: Run, trial: TrialState, following: int | None) -> Fate:
    return "went on" if following is not None and _reached(run, trial) >= following else trial.status
