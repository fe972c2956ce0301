"""All trials as the table of a page, and what became of those that failed."""

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from gansearch.analysis.rank import Ranked
from gansearch.analysis.text import flat_text, origin_text, value_text
from gansearch.run.ledger import Standing
from gansearch.text import MISSING, fid_text, kimg_text

_NUMBERS = ("rank", "place", "min FID", "at kimg", "mean FID", "max FID", "kimg")
_MOST_IDS = 8
_NUMBER = re.compile(r"\d+(\.\d+)?(e[+-]?\d+)?")


class TrialTable(NamedTuple):
    """A table as texts. A page sorts the columns of `numbers` by the number that a cell holds.

    Args:
        columns: The names of the columns; those of the parameters stand between the status and the reason.
        numbers: Those columns that hold numbers.
        rows: One row for each trial, in the order of the ranking.
        statuses: The statuses that occur.
    """

    columns: list[str]
    numbers: list[str]
    rows: list[list[str]]
    statuses: list[str]


def trial_table(ranked: Sequence[Ranked], params: Sequence[str]) -> TrialTable:
    """Returns the ranking, with a column for each parameter in `params`."""
    rows = [
        [
            row.trial_id,
            MISSING if row.rank is None else str(row.rank),
            MISSING if row.place is None else str(row.place),
            fid_text(row.best_fid),
            kimg_text(row.best_kimg),
            fid_text(row.mean_fid),
            fid_text(row.max_fid),
            kimg_text(row.kimg),
            row.status,
            flat_text(origin_text(row.origin, row.parent, row.relation)),
            *(flat_text(value_text(row.params[path])) if path in row.params else MISSING for path in params),
            checkpoint_text(row),
            flat_text(row.reason or ""),
        ]
        for row in ranked
    ]
    numbers = [path for path in params if any(_is_number(row.params.get(path)) for row in ranked)]
    return TrialTable(
        columns=["trial", *_NUMBERS, "status", "origin", *params, "checkpoint", "reason"],
        numbers=["trial", *_NUMBERS, *numbers],
        rows=rows,
        statuses=sorted({row.status for row in ranked}),
    )


def checkpoint_text(row: Ranked) -> str:
    """Returns whether the generator of a trial can be exported."""
    if row.checkpoint is not None:
        return "there"
    return MISSING if row.best_fid is None else "missing: not exportable"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


class Failure(NamedTuple):
    """Trials that ended in the same way.

    Args:
        status: `diverged`, `infeasible` or `failed`.
        reason: Why, with an ellipsis in place of numbers where these differ between the trials.
        size: How many trials.
        trials: The ids of the first of them, as one text.
        common: Values that most of these trials share and most of the others do not, as one text.
    """

    status: Standing
    reason: str
    size: int
    trials: str
    common: str


def failures(ranked: Sequence[Ranked]) -> list[Failure]:
    """Returns the trials that diverged, do not fit their GPU or failed, grouped by reason, the largest group first."""
    groups: dict[tuple[Standing, str], list[Ranked]] = defaultdict(list)
    for row in ranked:
        if row.status in {"diverged", "infeasible", "failed"}:
            groups[row.status, _NUMBER.sub("…", row.reason or "no reason is known")].append(row)
    found = []
    for (status, masked), rows in groups.items():
        reasons = {row.reason for row in rows}
        ids = sorted(row.trial_id for row in rows)
        more = f" and {len(ids) - _MOST_IDS} more" if len(ids) > _MOST_IDS else ""
        reason = (rows[0].reason or masked) if len(reasons) == 1 else masked
        found.append(Failure(status, reason, len(rows), ", ".join(ids[:_MOST_IDS]) + more, _common(rows, ranked)))
    return sorted(found, key=lambda failure: (-failure.size, failure.reason))


def _common(rows: Sequence[Ranked], ranked: Sequence[Ranked]) -> str:
    """Returns the choices that two thirds of `rows` have and that are at least twice as rare among all trials."""
    if len(rows) < 3:
        return ""
    found = []
    for path in dict.fromkeys(path for row in rows for path in row.params):
        values = [value_text(row.params[path]) for row in rows if _is_choice(row.params.get(path))]
        if not values:
            continue
        value = max(set(values), key=values.count)
        share = values.count(value) / len(rows)
        everywhere = sum(path in row.params and value_text(row.params[path]) == value for row in ranked) / len(ranked)
        if share >= 2 / 3 and share >= 2 * everywhere:
            found.append(f"{path} = {value} in {values.count(value)} of {len(rows)} (of all trials {everywhere:.0%})")
    return "; ".join(found)


def _is_choice(value: object) -> bool:
    return isinstance(value, str | bool)
