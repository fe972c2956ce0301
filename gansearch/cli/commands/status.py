"""`status RUN`: how far a search is."""

import argparse
import json
import time

from gansearch.analysis.noise import noisy_rungs
from gansearch.analysis.status import as_json, render_status
from gansearch.cli.arguments import add_run
from gansearch.cli.command import Command
from gansearch.cli.parser import OK, Parser
from gansearch.run import find_run, load
from gansearch.run.rows import is_being_written


def _arguments(parser: Parser) -> None:
    add_run(parser)
    parser.add_argument("--json", action="store_true", help="a list of objects instead of a table")
    parser.add_argument("--watch", action="store_true", help="repeat every two seconds while the search runs")


def _run(args: argparse.Namespace) -> int:
    paths = find_run(args.run, args.runs_dir)
    while True:
        run = load(paths)
        if args.json:
            print(json.dumps(as_json(run.ledger), allow_nan=False), flush=True)
        else:
            total = run.ledger.total(run.manifest.options.trials)
            table = render_status(run.ledger, total=total, max_kimg=run.manifest.max_kimg)
            table.notes += map(str, noisy_rungs(run))
            table.write()
        if not args.watch or not is_being_written(paths.results):
            return OK
        time.sleep(2)


COMMAND = Command(group="searches", summary="show how far a search is", arguments=_arguments, run=_run)
