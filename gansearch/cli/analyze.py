"""`analyze.py` and `gansearch-analyze`: the commands that read results. A RUN alone gets all that needs no training."""

import argparse
import sys
from collections.abc import Sequence

from gansearch.analysis.rank_table import write_ranking
from gansearch.cli.arguments import add_runs_dir
from gansearch.cli.command import Command, Group, command_names, load_command, program_parser, run_command
from gansearch.cli.parser import OK, Parser
from gansearch.cli.results import write_plots
from gansearch.errors import UserError, unknown
from gansearch.logs import show
from gansearch.program import command, typed_program
from gansearch.run import find_run, load

_GROUP: Group = "results"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code (0, 2 wrong input, 3 no finite FID, 130/143 interrupted)."""
    words = list(sys.argv[1:] if argv is None else argv)
    prog = typed_program()
    if words and _is_of_results(words[0]):
        return run_command(f"{prog} {words[0]}", load_command(words[0]), words[1:], words)
    if words and words[0] not in {"-h", "--help", "--version"}:
        return run_command(prog, _RUN_ALONE, words, words)
    parser = program_parser(
        prog,
        "Ranks, plots, reports and exports what a search has found. Without a COMMAND: rank, plot and report.",
        "%(prog)s [COMMAND] RUN [options]",
        (_GROUP,),
    )
    parser.parse_args(words)
    return parser.error("name a RUN: a run's directory, or its name under runs/")


def _is_of_results(name: str) -> bool:
    return name in command_names() and load_command(name).group == _GROUP


def _arguments(parser: Parser) -> None:
    parser.add_argument("run", metavar="RUN", nargs="+", help="a run's directory, or its name under runs/")
    add_runs_dir(parser)


def _run(args: argparse.Namespace) -> int:
    first, *more = args.run
    if _is_of_results(first):
        raise UserError(f"options go after the command: {first} RUN [options]")
    if first in command_names():
        raise UserError(f"{first} is a command of another program: {command(*args.words)}")
    if more:
        raise unknown("command", first, filter(_is_of_results, command_names()))
    run = load(find_run(first, args.runs_dir))
    write_ranking(run)
    code = write_plots(run)
    if code == OK:
        from gansearch.cli.report import report  # imports plotly and torch

        show(report(run))
    return code


_RUN_ALONE = Command(group=_GROUP, summary="rank, plot and report", arguments=_arguments, run=_run)
