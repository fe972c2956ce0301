"""What the commands do with the results of a run, apart from how the commands are called."""

import logging
from collections.abc import Iterable
from pathlib import Path

from gansearch.analysis.rank_table import write_ranking
from gansearch.cli.parser import NO_FID, OK, SOME_FAILED
from gansearch.logs import show
from gansearch.program import command
from gansearch.run import Run

logger = logging.getLogger(__name__)


def no_fid(run: Path) -> int:
    """Logs that a run has no FID; returns the exit code for that."""
    logger.info("%s: no trial has a finite FID; `%s` gives the reasons", run, command("status", run))
    return NO_FID


def failed_code(run: Run, finals_again: str | None = None) -> int:
    """Logs that trials of the search have failed, if some have; returns the exit code for that.

    With the command `finals_again`, which tries them again, it is about finals.
    """
    failed = [trial for trial in run.ledger.failed() if trial.is_final == (finals_again is not None)]
    if not failed:
        return OK
    again = finals_again or command("resume", run.dir.path, *run.plan.search_flags, "--retry-failed")
    last = failed[-1]
    reason = f"{last.trial_id}: {last.end.reason if last.end else None}"
    count = f"{len(failed)} trials" if len(failed) > 1 else "1 trial"
    logger.warning("%s failed (%s); to try them again: %s", count, reason, again)
    return SOME_FAILED


def write_plots(run: Run, out: Path | None = None, more: Iterable[str] = ()) -> int:
    """Draws all plots into `out` (default: the run's `plots`) and prints their paths; returns the exit code.

    `more` are names `MODULE:CLASS` of plots from outside the package.
    """
    if run.ledger.best is None:
        return no_fid(run.dir.path)
    # Imports matplotlib, which the ranking does without.
    from gansearch.analysis.plotting import plot

    for path in plot(run, out, more):
        show(path)
    return OK


def write_comparison(run: Run, trials: tuple[str, str], out: Path | None = None) -> int:
    """Draws two trials in one picture into `out` (default: the run's `plots`) and prints its path."""
    from gansearch.analysis.plotting import compare

    show(compare(run, trials, out))
    return OK


def conclude(run: Run) -> None:
    """Ends a search, or finals: writes the best trials, the plots, the best generator and the report."""
    from gansearch.analysis.plotting import plot
    from gansearch.cli.report import report
    from gansearch.export import export

    write_ranking(run, top=10)
    best = export(run)
    plot(run)
    print()
    show(f"plots: {run.dir.plots}/")
    show(f"best generator: {best}/ (its sample grid: {best}/samples.png)")
    show(f"report: {report(run)}")
