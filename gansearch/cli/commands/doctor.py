"""`doctor [SPACE]`: what a search needs, and what it would cost."""

import argparse
from pathlib import Path

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
from gansearch.cli.parser import Parser
from gansearch.run import RunDir
from gansearch.search.shutdown import GracefulShutdown


def _arguments(parser: Parser) -> None:
    add_space(parser, optional=True)
    add_runs_dir(parser)
    add_settings(parser)
    add_trials(parser)
    add_scheduling(parser)
    add_resources(parser)
    add_budgets(parser)
    parser.add_argument(
        "--measure", action="store_true", help="measure which precision and how many trials at once are fastest here"
    )


def _run(args: argparse.Namespace) -> int:
    from gansearch.cli.doctor import examine
    from gansearch.search.find_space import find_space
    from gansearch.search.planning import plan_search

    plan = plan_search(
        find_space(args.space),
        RunDir(Path("doctor")),
        given_settings(args),
        args.max_kimg,
        **({} if args.trials is None else {"trials": args.trials}),
        **given_scheduling(args),
        **given_resources(args),
    )
    shutdown = GracefulShutdown(lambda: None)
    with shutdown.handling():
        return examine(plan, args.runs_dir, measure=args.measure)
    return shutdown.exit_code


COMMAND = Command(
    group="searches",
    summary="check what a search needs, and estimate what it would cost",
    arguments=_arguments,
    run=_run,
)
