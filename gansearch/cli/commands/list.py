"""`list`: the runs below a folder."""

import argparse
import json
import logging
from dataclasses import asdict

from gansearch.analysis.runs import list_runs, write_runs
from gansearch.cli.arguments import add_runs_dir
from gansearch.cli.command import Command
from gansearch.cli.parser import OK, Parser

logger = logging.getLogger(__name__)


def _arguments(parser: Parser) -> None:
    add_runs_dir(parser)
    parser.add_argument("--json", action="store_true", help="a list of objects instead of a table")


def _run(args: argparse.Namespace) -> int:
    runs = list_runs(args.runs_dir)
    if args.json:
        print(json.dumps([asdict(run) for run in runs], indent=2, allow_nan=False))
    elif runs:
        write_runs(runs)
    else:
        logger.info("no runs under %s/", args.runs_dir)
    return OK


COMMAND = Command(
    group="searches", summary="list the runs: how far each is, and its best FID", arguments=_arguments, run=_run
)
