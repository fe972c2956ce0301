"""All runs below a folder, one line each."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TextIO

from rich.text import Text

from gansearch.analysis.table import STATUS_COLOURS, Table
from gansearch.errors import UserError, one_line
from gansearch.run import Run, RunDir, load
from gansearch.run.rows import is_being_written
from gansearch.text import MISSING, fid_text

State = Literal["running", "finished", "interrupted", "damaged"]

_COLOURS = {
    "running": STATUS_COLOURS["running"],
    "finished": STATUS_COLOURS["completed"],
    "interrupted": STATUS_COLOURS["stopped"],
    "damaged": STATUS_COLOURS["failed"],
}


@dataclass(frozen=True, kw_only=True)
class RunLine:
    """What is known of a run.

    Args:
        name: The name of the run's directory.
        state: `running` while a process writes the run, `damaged` where the run can't be read, and `finished` once
            nothing is left to train. What was stopped in between, by a budget too, is `interrupted`: `resume` continues
            it. Finals are no part of that.
        params: How many parameters are searched; this and all below is None for a damaged run.
        ended: How many trials have ended.
        total: How many trials there will be; None where a budget ends the search.
        best_fid: The winner's FID: the mean of its finals, or else the lowest. None before the first evaluation.
        created: When the search was started, in ISO 8601.
        fault: Why a damaged run can't be read, else None.
    """

    name: str
    state: State
    params: int | None = None
    ended: int | None = None
    total: int | None = None
    best_fid: float | None = None
    created: str | None = None
    fault: str | None = None


def list_runs(runs_dir: Path) -> list[RunLine]:
    """Returns the runs directly below a folder, the newest first and damaged ones last."""
    found = [_described(RunDir(path.parent)) for path in sorted(runs_dir.glob("*/search.json"))]
    return sorted(found, key=lambda run: run.created or "", reverse=True)


def _described(paths: RunDir) -> RunLine:
    try:
        run = load(paths)
    except UserError as error:
        return RunLine(name=paths.name, state="damaged", fault=one_line(error))
    trials = run.ledger.values()
    return RunLine(
        name=paths.name,
        state=state_of(run),
        params=len(run.manifest.space.params),
        ended=sum(trial.end is not None for trial in trials),
        total=run.ledger.total(run.manifest.options.trials),
        best_fid=run.best_fid,
        created=run.manifest.created,
    )


def state_of(run: Run) -> State:
    """Returns the state of a run that could be read."""
    if is_being_written(run.dir.results):
        return "running"
    return "finished" if _is_done(run) else "interrupted"


def _is_done(run: Run) -> bool:
    """Returns whether every trial that the search was to propose was proposed, and has ended."""
    ledger, limit = run.ledger, run.manifest.options.trials
    is_proposed = limit is None or ledger.num_proposed >= limit
    return is_proposed and all(trial.end for trial in ledger.values() if not trial.is_final)


def write_runs(runs: list[RunLine], file: TextIO | None = None) -> None:
    """Writes runs as a table, to stdout by default; a damaged run is a line with its fault."""
    file = file or sys.stdout
    numbers = ("parameters", "trials", "best FID")
    table = Table(("run", "state", *numbers, "created"), numbers)
    for run in runs:
        state = Text(run.state, style=_COLOURS[run.state])
        if run.fault is not None:
            table.add(run.name, state, MISSING, MISSING, MISSING, MISSING)
            table.notes.append(f"{run.name}: {run.fault}")
            continue
        trials = f"{run.ended}" if run.total is None else f"{run.ended} of {run.total}"
        table.add(run.name, state, str(run.params), trials, fid_text(run.best_fid), (run.created or MISSING)[:19])
    table.write(file)
