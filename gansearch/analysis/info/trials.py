"""The trials that pictures of a search show, and how far the search is. Finals are none of them."""

from collections.abc import Collection

from gansearch.run.ledger import TrialState
from gansearch.run.loaded import Run
from gansearch.run.rows import is_being_written

_BASELINE = "baseline:"


def searched(run: Run) -> list[TrialState]:
    """Returns the trials of the search by number.

    A trial that another one continues is left out: the history of the other has its evaluations too.
    """
    trials = [trial for trial in run.ledger.values() if not trial.is_final]
    continued = {trial.start.parent for trial in trials if trial.start.relation == "continuation" and trial.evals}
    return sorted((trial for trial in trials if trial.trial_id not in continued), key=lambda trial: trial.number)


def leaders(run: Run, most: int) -> list[TrialState]:
    """Returns at most so many trials with the lowest FIDs, the winner of the search first."""
    winner = run.winner
    found = sorted(
        (trial for trial in searched(run) if trial.best),
        key=lambda trial: (trial is not winner, trial.best.fid if trial.best else 0.0, trial.number),
    )
    return found[:most]


def baseline_name(trial: TrialState) -> str | None:
    """Returns the name of the recipe of a baseline; None for other trials."""
    origin = trial.start.origin
    return origin.removeprefix(_BASELINE) if origin.startswith(_BASELINE) else None


def state_text(run: Run) -> str | None:
    """Returns how far a search is that has not ended, `still running: 5 of 32 trials ended`; None for one that has."""
    trials = [trial for trial in run.ledger.values() if not trial.is_final]
    ended = sum(trial.end is not None for trial in trials)
    total = run.ledger.total(run.manifest.options.trials)
    if ended == len(trials) and (ended == total or not is_being_written(run.dir.results)):
        return None
    word = "still running" if is_being_written(run.dir.results) else "not finished"
    return f"{word}: {ended} of {_most(total, trials)} trials ended"


def _most(total: int | None, trials: Collection[TrialState]) -> int:
    return len(trials) if total is None else total
