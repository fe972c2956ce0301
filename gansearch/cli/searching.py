"""Runs a search for a command: shows how it goes on, and what came out."""

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from gansearch.analysis.noise import noisy_rungs
from gansearch.analysis.text import share_text
from gansearch.cli.results import conclude, failed_code, no_fid
from gansearch.program import command
from gansearch.run import Ledger, Plan, Run, TrialState, load
from gansearch.search.shutdown import GracefulShutdown

if TYPE_CHECKING:
    from gansearch.search.search import Search

logger = logging.getLogger(__name__)


def run_search(plan: Plan, work: "Callable[[Search], None]") -> int:
    """Calls `work` with the search of a plan and shows the progress; then ranks, plots and exports the results.

    Returns the exit code: 0, 3 where no trial has a finite FID, 5 where some trials have failed, 128 and its number
    where a signal has ended the search.

    Raises:
        UserError: Something is wrong or missing.
        TooManyFailures: Trials fail for a reason that is not their own.
    """
    from gansearch.cli.progress import Progress
    from gansearch.search.search import Search

    progress = Progress(
        lambda ledger: ledger.total(plan.options.trials), plan.space.base.train.max_kimg, lambda: search.time_left()
    )
    shutdown = GracefulShutdown(lambda: _log_interrupted(search))
    search = Search(plan, progress.listen, shutdown)
    with progress.shown():
        work(search)
    if shutdown.signal is not None:
        return shutdown.exit_code
    if search.ledger.best is None:
        return no_fid(plan.run.path)
    with shutdown.handling():
        run = load(plan.run)
        conclude(run)
        for rung in noisy_rungs(run):
            logger.warning("%s", rung)
        if search.ledger.evaluation_share is not None:
            logger.info(share_text(search.ledger.evaluation_share))
        return failed_code(run)
    return shutdown.exit_code


def _log_interrupted(search: "Search") -> None:
    if search.is_saved:
        plan = search.plan
        again = command("resume", plan.run.path, *plan.search_flags)
        logger.info("interrupted, everything is saved; continue with: %s", again)
    else:
        logger.info("interrupted before the first trial; nothing is left behind")


def train_finals(
    run: Run, finalists: list[TrialState], seeds: int, resources: Mapping[str, Any], shutdown: GracefulShutdown
) -> None:
    """Trains the finals that a run lacks, and shows the progress.

    Args:
        run: The run.
        finalists: The trials whose parameters are trained again.
        seeds: How many seeds each of them has.
        resources: The fields of `Options` that are other than in the search.
        shutdown: What ends the training on a signal.
    """
    from gansearch.search.queue import finals_queue

    if finals_queue(run.plan, run.ledger, finalists, seeds).is_empty:
        return
    from gansearch.cli.progress import Progress
    from gansearch.search.search import Search

    # The budgets limit the search, not the finals.
    plan = run.plan.with_resources({"time_budget": None, "gpu_hours": None, **resources})

    def total(ledger: Ledger) -> int:
        return sum(not trial.is_final for trial in ledger.values()) + len(finalists) * seeds

    progress = Progress(total, plan.space.base.train.max_kimg, lambda: search.time_left())
    search = Search(plan, progress.listen, shutdown)
    with progress.shown():
        search.finals(finalists, seeds)
