"""`extend RUN`: more trials, or longer ones."""

import argparse

from gansearch.cli.arguments import add_allow_code, add_budgets, add_resources, add_run, given_resources, loaded_run
from gansearch.cli.command import Command
from gansearch.cli.parser import Parser, positive_float, positive_int
from gansearch.cli.searching import run_search


def _arguments(parser: Parser) -> None:
    add_run(parser)
    add_allow_code(parser)
    parser.add_argument("--trials", type=_more, default=0, metavar="+N", help="N more trials")
    parser.add_argument(
        "--max-kimg", type=positive_float, metavar="K", help="train the best trials, and new ones, to K kimg"
    )
    add_resources(parser)
    add_budgets(parser)


def _more(text: str) -> int:
    if not text.startswith("+"):
        raise argparse.ArgumentTypeError(f"{text} might mean all trials: write +N for N more")
    return positive_int(text[1:])


def _run(args: argparse.Namespace) -> int:
    plan = loaded_run(args).plan.with_resources(given_resources(args)).extended(args.trials, args.max_kimg)
    return run_search(plan, lambda search: search.extend())


COMMAND = Command(
    group="searches",
    summary="give a search more trials, or train its best trials further",
    arguments=_arguments,
    run=_run,
)
