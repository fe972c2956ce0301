"""`plot RUN`: the plots of a search, or of two of its trials."""

import argparse
from pathlib import Path

from gansearch import foreign
from gansearch.cli.arguments import add_run, loaded_run
from gansearch.cli.command import Command
from gansearch.cli.parser import Parser
from gansearch.cli.results import write_comparison, write_plots


def _arguments(parser: Parser) -> None:
    add_run(parser)
    parser.add_argument("--out", metavar="DIR", type=Path, help="the folder to write (default: RUN/plots)")
    parser.add_argument(
        "--trials", metavar="ID,ID", type=_two_trials, help="draw one picture of these two trials instead"
    )
    parser.add_argument(
        "--plot", metavar="MODULE:CLASS", action="append", default=[], help="also draw a plot of your own"
    )


def _two_trials(text: str) -> tuple[str, str]:
    ids = [part.strip() for part in text.split(",")]
    if len(ids) != 2 or not all(ids):
        raise argparse.ArgumentTypeError(f"{text!r}: name two trials, as in --trials 2,6")
    return ids[0], ids[1]


def _run(args: argparse.Namespace) -> int:
    if args.trials is not None:
        return write_comparison(loaded_run(args), args.trials, args.out)
    foreign.permit(args.plot)
    return write_plots(loaded_run(args), args.out, args.plot)


COMMAND = Command(
    group="results",
    summary="draw FID against kimg, rungs and parameters, which of them matter, and more, as PNG files",
    arguments=_arguments,
    run=_run,
)
