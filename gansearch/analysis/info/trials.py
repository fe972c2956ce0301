"""The trials that pictures of a search show, and how far the search is. Finals are none of them."""

from collections.abc import Collection

from gansearch.run.ledger import TrialState
from gansearch.run.loaded import Run
from gansearch.run.rows import Eval, is_being_written

_BASELINE = "baseline:"


def searched(run: Run) -> list[TrialState]:
    """Returns the trials of the search by number: of those that continue one another the last with an evaluation.

    The history of that one has the evaluations of the others too.
    """
    shown: dict[str, TrialState] = {}
    for trial in sorted(run.ledger.values(), key=lambda trial: trial.number):
        root = run.ledger.root_id(trial.trial_id)
        if not trial.is_final and (trial.evals or root not in shown):
            shown[root] = trial
    return sorted(shown.values(), key=lambda trial: trial.number)


def shown_winner(run: Run) -> TrialState | None:
    """Returns the trial of `searched` that stands for the winner: the winner, or one that continues it."""
    winner, root_id = run.winner, run.ledger.root_id
    if winner is None:
        return None
    root = root_id(winner.trial_id)
    return next((trial for trial in searched(run) if root_id(trial.trial_id) == root), None)


def leaders(run: Run, most: int) -> list[TrialState]:
    """Returns at most so many trials with the lowest FIDs, the one that stands for the winner of the search first."""
    winner = shown_winner(run)
    found = sorted(
        (trial for trial in searched(run) if trial.evals),
        key=lambda trial: (trial is not winner, lowest(run, trial).fid, trial.number),
    )
    return found[:most]


def lowest(run: Run, trial: TrialState) -> Eval:
    """Returns the evaluation with the lowest FID of a trial that has one, or of those that it continues."""
    return min(run.ledger.history(trial.trial_id), key=lambda row: row.fid)


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
