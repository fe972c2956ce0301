"""`start SPACE`: a new search."""

import argparse
import json
import logging
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from gansearch.cli.arguments import (
    add_budgets,
    add_resources,
    add_runs_dir,
    add_scheduling,
    add_settings,
    add_space,
    add_trials,
    given_resources,
    given_scheduling,
    given_settings,
)
from gansearch.cli.command import Command
from gansearch.cli.parser import OK, Parser, non_negative_int
from gansearch.cli.results import failed_code, no_fid
from gansearch.cli.searching import run_search
from gansearch.errors import UserError
from gansearch.run import Options, Plan, Run, new_run
from gansearch.run.paths import dated
from gansearch.search.shutdown import GracefulShutdown

if TYPE_CHECKING:
    from gansearch.search.ray.cluster import Cluster

logger = logging.getLogger(__name__)


def _arguments(parser: Parser) -> None:
    add_space(parser)
    parser.add_argument("--name", help="the run's name (default: the space's and the time)")
    add_runs_dir(parser)
    add_trials(parser)
    parser.add_argument("--seed", type=non_negative_int, default=0, help="the seed of all trials (default: 0)")
    add_settings(parser)
    add_scheduling(parser)
    add_resources(parser)
    add_budgets(parser)
    parser.add_argument(
        "--storage", metavar="PATH|s3://...", help="where checkpoints go (default: the run's directory)"
    )
    parser.add_argument(
        "--or-resume",
        action="store_true",
        help="continue the run NAME if it was started before, as in a job's script",
    )
    parser.add_argument("--dry-run", action="store_true", help="check everything, print the plan, start nothing")


def _run(args: argparse.Namespace) -> int:
    if args.or_resume and args.name is None:
        raise UserError("--or-resume needs --name NAME: a run that has no name yet can't be found again")
    run = new_run(args.name or dated(args.space), args.runs_dir, or_started=args.or_resume)
    # These load torch, which takes seconds.
    from gansearch.search.find_space import find_space
    from gansearch.search.planning import plan_search
    from gansearch.search.requeue import earlier_start, is_complete

    options = {name: value for name in ("trials", "storage") if (value := getattr(args, name)) is not None}
    plan = plan_search(
        find_space(args.space),
        run,
        given_settings(args),
        args.max_kimg,
        seed=args.seed,
        **options,
        **given_scheduling(args),
        **given_resources(args),
    )
    started = earlier_start(plan) if args.or_resume else None
    if started is not None and is_complete(started):
        logger.info("%s is complete", run.path)
        return failed_code(started) if started.best_fid is not None else no_fid(run.path)
    if started is not None:
        plan = started.plan.with_resources(plan.resources)
    if args.dry_run:
        return _rehearse(plan, started)
    return run_search(plan, lambda search: search.start() if started is None else search.resume())


def _rehearse(plan: Plan, started: Run | None) -> int:
    from gansearch.search.search import Search

    shutdown = GracefulShutdown(lambda: logger.info("interrupted; nothing is left behind"))
    search = Search(plan, lambda row, ledger: None, shutdown)
    search.rehearse(is_started=started is not None)
    if started is not None:
        logger.info("%s was started, and would be resumed: %d trials known", plan.run.path, len(started.ledger))
    if shutdown.signal is not None:
        return shutdown.exit_code
    print(json.dumps(_described(plan, search.cluster), indent=2))
    return OK


def _described(plan: Plan, cluster: "Cluster") -> dict[str, Any]:
    """Returns what `--dry-run` prints; the space's base has all options, also those of its components."""
    from gansearch.registry import resolve

    space = plan.space.replaced(base=resolve(plan.space.base))
    return {
        "run": str(plan.run.path),
        "options": TypeAdapter(Options).dump_python(plan.options, mode="json"),
        "max_kimg": space.base.train.max_kimg,
        "rungs_kimg": [images / 1000 for images in plan.rungs],
        "resources": {
            "nodes": len(cluster.nodes),
            "cpus_per_trial": cluster.cpus,
            "gpus_per_trial": cluster.gpus,
            "trials_at_once": cluster.slots,
        },
        "space": space.model_dump(mode="json"),
    }


COMMAND = Command(group="searches", summary="start a search", arguments=_arguments, run=_run)
