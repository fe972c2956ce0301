"""The lowest FID so far against the work that it took, of the search and of each baseline alone."""

from collections.abc import Iterable
from typing import NamedTuple

from gansearch.analysis.info.trials import baseline_name, searched
from gansearch.run.loaded import Run
from gansearch.run.rows import Eval


class Progress(NamedTuple):
    """The lowest FID so far, each time that it fell, and at the end. `name` is a baseline's, None for the search."""

    name: str | None
    hours: list[float]
    fid: list[float]


class ProgressInfo(NamedTuple):
    """The progress of a search and of its baselines.

    Args:
        unit: `GPU hours`, or `hours of trials` where trials have no GPU.
        search: All trials of the search, in the order of their evaluations.
        baselines: Each baseline with its own work alone, as far as the search trained it: with the trials that
            continue it, and of one that failed and was trained again the last attempt.
    """

    unit: str
    search: Progress
    baselines: list[Progress]


def progress_info(run: Run) -> ProgressInfo:
    """Returns the lowest FID so far against the work of the evaluations until then. Finals do not count."""
    gpus = run.manifest.gpus_per_trial
    ledger = run.ledger
    rows = [row for row in ledger.rows if isinstance(row, Eval) and not ledger[row.trial_id].is_final]
    last = {name: trial for trial in searched(run) if trial.evals and (name := baseline_name(trial))}
    baselines = [_progress(name, ledger.history(trial.trial_id), gpus) for name, trial in last.items()]
    unit = "GPU hours" if gpus else "hours of trials"
    return ProgressInfo(unit, _progress(None, rows, gpus), baselines)


def _progress(name: str | None, rows: Iterable[Eval], gpus: float) -> Progress:
    found, seconds = Progress(name, [], []), 0.0
    lowest: float | None = None
    for row in rows:
        seconds += row.train_seconds + row.eval_seconds
        if lowest is None or row.fid < lowest:
            lowest = row.fid
            found.hours.append(seconds * (gpus or 1.0) / 3600)
            found.fid.append(lowest)
    if lowest is not None:
        found.hours.append(seconds * (gpus or 1.0) / 3600)
        found.fid.append(lowest)
    return found
