"""`report RUN`: the report of a search, one page for somebody who was not there."""

import argparse
from pathlib import Path

from gansearch.cli.arguments import add_run, loaded_run
from gansearch.cli.command import Command
from gansearch.cli.parser import OK, Parser
from gansearch.cli.results import no_fid
from gansearch.logs import show


def _arguments(parser: Parser) -> None:
    add_run(parser)
    parser.add_argument("--out", metavar="FILE", type=Path, help="the file to write (default: RUN/report/index.html)")


def _run(args: argparse.Namespace) -> int:
    from gansearch.cli.report import report  # imports plotly

    run = loaded_run(args)
    show(report(run, args.out))
    return OK if run.ledger.best else no_fid(run.dir.path)


COMMAND = Command(
    group="results",
    summary="write a page with the winner, charts, images and all trials, which opens from disk",
    arguments=_arguments,
    run=_run,
)
