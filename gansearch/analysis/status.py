"""How far a search is: a table for the terminal, lines for a log, objects for a script."""

from collections import Counter
from typing import Any

from rich.text import Text

from gansearch.analysis.table import STATUS_COLOURS, Table
from gansearch.analysis.text import origin_text, reason_text, share_text
from gansearch.run.ledger import Ledger, Standing, TrialState
from gansearch.text import fid_text, kimg_text

_OPEN: dict[Standing, str] = {"running": "running", "waiting": "waiting to be promoted"}
_COLUMNS = ("#", "trial", "origin", "kimg", "FID", "best FID", "status", "why")


def render_status(
    ledger: Ledger,
    *,
    total: int | None,
    max_kimg: float,
    rows: int | None = None,
    winner: TrialState | None = None,
) -> Table:
    """Returns the trials by number as a table, with a summary below it.

    Args:
        ledger: The trials so far.
        total: How many trials there will be; None where a budget ends the search.
        max_kimg: The full length of a trial.
        rows: How many trials the table shows; None for all. Of those that do not run, the ones with the highest FIDs
            are left out first.
        winner: The trial that stands out; None for the one with the lowest FID of the search.
    """
    trials = _by_number(ledger)
    shown = _most_relevant(trials, rows)
    best = ledger.best
    stressed = winner or best
    table = Table(_COLUMNS, right={"#", "kimg", "FID", "best FID"}, text="why", hint="--wide shows all")
    for trial in shown:
        table.add(
            str(trial.number),
            trial.trial_id,
            _origin(trial),
            f"{kimg_text(trial.kimg)} of {kimg_text(max_kimg)}",
            fid_text(trial.evals[-1].fid if trial.evals else None),
            fid_text(trial.best.fid if trial.best else None),
            Text(trial.status, style=STATUS_COLOURS[trial.status]),
            reason_text(trial, ledger) or "",
            style="bold" if trial is stressed else "",
        )
    hidden = f", {len(trials) - len(shown)} not shown" if len(shown) < len(trials) else ""
    of_all = "" if total is None else f" of {total}"
    count = Counter(trial.status for trial in trials)
    open_ones = [f"{count[status]} {word}" for status, word in _OPEN.items() if count[status]]
    ended = sum(trial.end is not None for trial in trials)
    summary = ", ".join([f"{ended}{of_all} trials ended", *open_ones]) + hidden
    if best and best.best:
        summary += f"; lowest FID {fid_text(best.best.fid)}: trial {best.trial_id} at {kimg_text(best.best.kimg)} kimg"
    table.notes.append(summary)
    if ledger.evaluation_share is not None:
        table.notes.append(share_text(ledger.evaluation_share))
    return table


def describe(trial: TrialState, ledger: Ledger) -> str:
    """Returns one trial on one line, for a log. A decision is part of it until the trial has trained further."""
    line = f"trial {trial.number} ({trial.trial_id}, {_origin(trial)}): {trial.status} at {kimg_text(trial.kimg)} kimg"
    if trial.evals and trial.best:
        line += f", FID {fid_text(trial.evals[-1].fid)}, best {fid_text(trial.best.fid)}"
    is_past = bool(trial.decisions) and trial.decisions[-1].kimg < trial.kimg
    ended_for_a_reason = trial.end is not None and trial.end.reason is not None
    if (ended_for_a_reason or not is_past) and (reason := reason_text(trial, ledger)):
        line += f" ({reason})"
    return line


def as_json(ledger: Ledger) -> list[dict[str, Any]]:
    """Returns the trials by number as objects; what is not known yet is None."""
    return [
        {
            "trial_id": trial.trial_id,
            "number": trial.number,
            "origin": trial.start.origin,
            "parent": trial.start.parent,
            "relation": trial.start.relation,
            "status": trial.status,
            "kimg": trial.kimg,
            "fid": trial.evals[-1].fid if trial.evals else None,
            "best_fid": trial.best.fid if trial.best else None,
            "best_kimg": trial.best.kimg if trial.best else None,
            "reason": reason_text(trial, ledger),
        }
        for trial in _by_number(ledger)
    ]


def _origin(trial: TrialState) -> str:
    return origin_text(trial.start.origin, trial.start.parent, trial.start.relation)


def _by_number(ledger: Ledger) -> list[TrialState]:
    return sorted(ledger.values(), key=lambda trial: trial.number)


def _most_relevant(trials: list[TrialState], rows: int | None) -> list[TrialState]:
    """Returns at most `rows` trials in the given order: those that run first, then those with the lowest FIDs."""
    if rows is None or len(trials) <= rows:
        return trials
    chosen = sorted(
        trials, key=lambda trial: (trial.status != "running", trial.best.fid if trial.best else float("inf"))
    )
    ids = {trial.trial_id for trial in chosen[:rows]}
    return [trial for trial in trials if trial.trial_id in ids]
