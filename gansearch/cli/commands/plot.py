"""`plot RUN`: the plots of a search."""

import argparse
from pathlib import Path

from gansearch import foreign
from gansearch.cli.arguments import add_run, loaded_run
from gansearch.cli.command import Command
from gansearch.cli.parser import Parser
from gansearch.cli.results import write_plots


def _arguments(parser: Parser) -> None:
    add_run(parser)
    parser.add_argument("--out", metavar="DIR", type=Path, help="the folder to write (default: RUN/plots)")
    parser.add_argument(
        "--plot", metavar="MODULE:CLASS", action="append", default=[], help="also draw a plot of your own"
    )


def _run(args: argparse.Namespace) -> int:
    foreign.permit(args.plot)
    return write_plots(loaded_run(args), args.out, args.plot)


COMMAND = Command(
    group="results",
    summary="draw FID against kimg and against each parameter, as PNG files",
    arguments=_arguments,
    run=_run,
)
