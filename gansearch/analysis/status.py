"""How far a search is: a table for the terminal, lines for a log, objects for a script."""

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from gansearch.analysis.rank import STATUS_STYLES
from gansearch.analysis.text import fid_text, kimg_text, origin_text, share_text
from gansearch.run.ledger import Ledger, TrialState


def render_status(ledger: Ledger, *, total: int, max_kimg: float, rows: int | None = None) -> Table:
    """All trials by number: id, origin, kimg, latest and lowest FID, status; how many of `total` have ended beneath.

    Where there are more than `rows` trials, the ended ones with the highest FIDs are left out, and the table says so.
    """
    states = _by_number(ledger)
    shown = _most_telling(states, rows)
    ended = sum(state.end is not None for state in states)
    left_out = f", {len(states) - len(shown)} not shown" if len(shown) < len(states) else ""
    best = ledger.best
    caption = f"{ended} of {total} trials ended{left_out}"
    if best and best.best:
        caption += f"; lowest FID {fid_text(best.best.fid)}: trial {best.trial_id} at {kimg_text(best.best.kimg)} kimg"
    if ledger.evaluation_share is not None:
        caption += f"\n{share_text(ledger.evaluation_share)}"
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold", caption=Text(caption), caption_justify="left")
    for name in ("#", "trial", "origin", "kimg", "FID", "best FID", "status"):
        table.add_column(name, justify="left" if name in {"trial", "origin", "status"} else "right", no_wrap=True)
    for state in shown:
        table.add_row(
            str(state.number),
            Text(state.trial_id),
            Text(_origin(state)),
            f"{kimg_text(state.kimg)} of {kimg_text(max_kimg)}",
            fid_text(state.evals[-1].fid if state.evals else None),
            fid_text(state.best.fid if state.best else None),
            Text(state.status, style=STATUS_STYLES[state.status]),
            style="bold" if state is best else "",
        )
    return table


def describe(state: TrialState) -> str:
    """One trial on one line, as a log shows it."""
    line = f"trial {state.number} ({state.trial_id}, {_origin(state)}): {state.status} at {kimg_text(state.kimg)} kimg"
    if state.evals and state.best:
        line += f", FID {fid_text(state.evals[-1].fid)}, best {fid_text(state.best.fid)}"
    if state.end and state.end.reason:
        line += f" ({' '.join(state.end.reason.split())})"
    return line


def as_json(ledger: Ledger) -> list[dict[str, Any]]:
    """All trials by number; what is not known yet is None."""
    return [
        {
            "trial_id": state.trial_id,
            "number": state.number,
            "origin": state.start.origin,
            "parent": state.start.parent,
            "relation": state.start.relation,
            "status": state.status,
            "kimg": state.kimg,
            "fid": state.evals[-1].fid if state.evals else None,
            "best_fid": state.best.fid if state.best else None,
            "best_kimg": state.best.kimg if state.best else None,
            "reason": state.end.reason if state.end else None,
        }
        for state in _by_number(ledger)
    ]


def _origin(state: TrialState) -> str:
    return origin_text(state.start.origin, state.start.parent, state.start.relation)


def _by_number(ledger: Ledger) -> list[TrialState]:
    return sorted(ledger.values(), key=lambda state: state.number)


def _most_telling(states: list[TrialState], rows: int | None) -> list[TrialState]:
    """At most `rows` of them, in the given order: running ones first, then those with the lowest FIDs."""
    if rows is None or len(states) <= rows:
        return states
    kept = sorted(states, key=lambda state: (state.end is not None, state.best.fid if state.best else float("inf")))
    ids = {state.trial_id for state in kept[:rows]}
    return [state for state in states if state.trial_id in ids]
