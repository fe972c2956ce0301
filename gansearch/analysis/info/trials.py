"""The trials that pictures of a search show, and how far the search is. Finals are none of them."""

from collections.abc import Collection

from gansearch.run.ledger import TrialState, by_fid
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
    """Returns at most so many trials, the best first: finalists as the finals have placed them, others by lowest FID.

    Baselines behind all other finalists were there to be compared with: they count by their lowest FID.
    """
    finalists = [run.ledger[one.trial_id] for one in run.finalists]
    while len(finalists) > 1 and finalists[-1].is_baseline:
        finalists.pop()
    root_id = run.ledger.root_id
    places = {root_id(trial.trial_id): place for place, trial in reversed(list(enumerate(finalists)))}
    found = sorted(
        (trial for trial in searched(run) if trial.evals),
        key=lambda trial: (places.get(root_id(trial.trial_id), len(finalists)), by_fid(lowest(run, trial))),
    )
    return found[:most]


def lowest(run: Run, trial: TrialState) -> Eval:
    """Returns the evaluation with the lowest FID of a trial that has one, or of those that it continues."""
    return min(run.ledger.history(trial.trial_id), key=by_fid)


def baseline_name(trial: TrialState) -> str | None:
    """Returns the name of the recipe of a baseline; None for other trials."""
    origin = trial.start.origin
    return origin.removeprefix(_BASELINE) if origin.startswith(_BASELINE) else None


def state_text(run: Run) -> str | None:
    """Returns how far a search is that has not ended, `still running: 5 of 32 trials ended`; None for one that has."""
    trials = [trial for trial in run.ledger.values() if not trial.is_final]
    ended = sum(trial.end is not None for trial in trials)
    total = run.ledger.total(run.manifest.options.trials)
    total = None if total is None else total - (len(run.ledger) - len(trials))
    if ended == len(trials) and (ended == total or not is_being_written(run.dir.results)):
        return None
    word = "still running" if is_being_written(run.dir.results) else "not finished"
    return f"{word}: {ended} of {_most(total, trials)} trials ended"


def _most(total: int | None, trials: Collection[TrialState]) -> int:
    return len(trials) if total is None else total
