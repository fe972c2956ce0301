"""The ranking of a run as a table: the finalists, who decide, and below them the trials of the search."""

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TextIO

from rich.text import Text

from gansearch.analysis.finals_table import write_finals
from gansearch.analysis.info.trials import state_text
from gansearch.analysis.noise import fid_noise
from gansearch.analysis.rank import Ranked, rank
from gansearch.analysis.table import STATUS_COLOURS, Table
from gansearch.analysis.text import differing, flat_text, floor_text, origin_text, short_names, value_text
from gansearch.errors import unknown
from gansearch.program import command
from gansearch.run.loaded import Run
from gansearch.run.rows import images_of
from gansearch.text import MISSING, fid_text, kimg_text

TOP = 20
"""How many trials a table has unless more are wanted."""


class _Column(NamedTuple):
    head: str
    text: Callable[[Ranked], str | Text]
    right: bool = True


_COLUMNS = {
    "rank": _Column("rank", lambda row: MISSING if row.rank is None else str(row.rank)),
    "trial": _Column("trial", lambda row: row.trial_id, right=False),
    "place": _Column("place", lambda row: MISSING if row.place is None else str(row.place)),
    "fid": _Column("FID", lambda row: fid_text(row.best_fid)),
    "at_kimg": _Column("at kimg", lambda row: kimg_text(row.best_kimg)),
    "mean_fid": _Column("mean FID", lambda row: fid_text(row.mean_fid)),
    "max_fid": _Column("max FID", lambda row: fid_text(row.max_fid)),
    "kimg": _Column("kimg", lambda row: kimg_text(row.kimg)),
    "status": _Column("status", lambda row: Text(row.status, style=STATUS_COLOURS[row.status]), right=False),
    "origin": _Column("origin", lambda row: origin_text(row.origin, row.parent, row.relation), right=False),
    "reason": _Column("reason", lambda row: flat_text(row.reason or ""), right=False),
    "checkpoint": _Column("checkpoint", lambda row: row.checkpoint or MISSING, right=False),
}
_USUAL = ("rank", "trial", "fid", "kimg", "status", "origin")
_LAST = ("reason", "checkpoint")


def write_ranking(
    run: Run,
    *,
    top: int | None = TOP,
    columns: Sequence[str] = (),
    wide: bool = False,
    file: TextIO | None = None,
) -> None:
    """Writes the ranking of a run as a table that fits the terminal, or 120 characters in a pipe.

    Args:
        run: The run.
        top: How many trials of the search the table shows; None for all.
        columns: The columns to show: names of `column_names`. By default those that most people need, and the
            parameters that differ among the trials shown.
        wide: Shows every column, and leaves out none for lack of room.
        file: Where to write, stdout by default.

    Raises:
        UserError: A column is unknown.
    """
    file = file or sys.stdout
    shown = [row for row in rank(run, top) if row.relation != "final"]
    chosen = _chosen(run, shown, columns, wide)  # refuses an unknown column before anything is written
    hint = f"`{command('rank', run.dir.path, '--wide')}`"
    if run.finals is not None:
        write_finals(run.finals, run.manifest.space.params, file, wide=wide, hint=hint)
        file.write("\nthe search, one seed each:\n")
    table = Table([one.head for one in chosen], {one.head for one in chosen if one.right}, hint=hint)
    winner = run.winner
    for row in shown:
        style = "bold" if winner is not None and row.trial_id == winner.trial_id else ""
        table.add(*(one.text(row) for one in chosen), style=style)
    table.notes += _notes(run, shown, {one.head for one in chosen})
    table.write(file, wide=wide)


def column_names(run: Run) -> dict[str, _Column]:
    """Returns every column that a table of this run may have, by the name that a user may type."""
    paths = list(run.manifest.space.params)
    found = dict(_COLUMNS)
    full = run.manifest.max_kimg
    found["kimg"] = _Column("kimg", lambda row: kimg_text(row.kimg) + ("*" if _is_other(row, full) else " "))
    for path, name in short_names(paths).items():
        found.setdefault(path, _parameter(path, name))
        found.setdefault(name, _parameter(path, name))
    return found


def _is_other(row: Ranked, full: float) -> bool:
    """Returns whether a trial has another length than the full one, so that its FID compares with few others."""
    return images_of(row.kimg) != images_of(full)


def _parameter(path: str, name: str) -> _Column:
    def text(row: Ranked) -> str:
        return value_text(row.params[path]) if path in row.params else MISSING

    return _Column(name, text)


def _chosen(run: Run, shown: Sequence[Ranked], columns: Sequence[str], wide: bool) -> list[_Column]:
    known, paths = column_names(run), list(run.manifest.space.params)
    if columns:
        if wrong := [name for name in columns if name not in known]:
            raise unknown("column", wrong[0], known)
        return [known[name] for name in columns]
    if wide:
        return [known[name] for name in (*(name for name in _COLUMNS if name not in _LAST), *paths, *_LAST)]
    return [known[name] for name in (*_USUAL, *differing(paths, [row.params for row in shown]))]


def _unjudged(run: Run, again: str) -> str:
    """Returns what is true of finals that were trained, but are in no `finals.json`."""
    full, finals = images_of(run.manifest.max_kimg), [trial for trial in run.ledger.values() if trial.is_final]
    finished = {(trial.params_key, trial.start.seed) for trial in finals if trial.is_finished(full)}
    if all((trial.params_key, trial.start.seed) in finished for trial in finals):
        how = "with --top and --seeds as before, writes it, and trains no complete final again"
        return f"finals.json is missing: `{again}`, {how}"
    return f"finals were trained, but not all: `{again}` continues them"


def _notes(run: Run, shown: Sequence[Ranked], heads: set[str]) -> Iterator[str]:
    """Yields the lines below the table."""
    if state := state_text(run):
        yield state
    searched = sum(not trial.is_final for trial in run.ledger.values())
    if len(shown) < searched:
        every = command("rank", run.dir.path, "--all")
        yield f"and {searched - len(shown)} more of {searched} trials: `{every}`"
    noise = fid_noise(run.ledger)
    ranks = [row.rank for row in shown if row.rank is not None]
    if noise is not None and len(set(ranks)) < len(ranks) and "rank" in heads:
        yield (
            "trials that share a rank differ no more than noise explains: FIDs of one generator with other z differ by "
            f"{noise:.1%}"
        )
    full = run.manifest.max_kimg
    if "kimg" in heads and any(_is_other(row, full) for row in shown):
        yield f"* another length than the full one, {kimg_text(full)} kimg"
    missing = [row.trial_id for row in shown if row.rank is not None and row.checkpoint is None]
    best = run.best_generator
    if run.finals is not None and best is not None and run.checkpoint(best.trial_id) is None:
        missing.append(f"{best.trial_id} (the winner's final)")
    if missing:
        yield f"not exportable, since the checkpoint is missing: {', '.join(missing)}"
    again = command("finals", run.dir.path, *run.plan.search_flags)
    if run.why_void is not None:
        yield f"the finals are void, as {run.why_void}: `{again}`"
    elif run.finals is None and any(trial.is_final for trial in run.ledger.values()):
        yield _unjudged(run, again)
    if run.manifest.floor is not None:
        yield floor_text(run.manifest.floor)
