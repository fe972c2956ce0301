"""`resume RUN`: the rest of a search that was interrupted."""

import argparse

from gansearch.cli.arguments import add_allow_code, add_budgets, add_resources, add_run, given_resources, loaded_run
from gansearch.cli.command import Command
from gansearch.cli.parser import Parser
from gansearch.cli.searching import run_search


def _arguments(parser: Parser) -> None:
    add_run(parser)
    add_allow_code(parser)
    add_resources(parser)
    add_budgets(parser)
    parser.add_argument(
        "--retry-failed", action="store_true", help="run failed and infeasible trials again, as new trials"
    )


def _run(args: argparse.Namespace) -> int:
    plan = loaded_run(args).plan.with_resources(given_resources(args))
    return run_search(plan, lambda search: search.resume(retry_failed=args.retry_failed))


COMMAND = Command(
    group="searches", summary="continue a search that was interrupted or killed", arguments=_arguments, run=_run
)
