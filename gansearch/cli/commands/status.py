"""`status RUN`: how far a search is."""

import argparse
import json
import time

from gansearch.analysis.noise import noisy_rungs
from gansearch.analysis.rank_table import TOP
from gansearch.analysis.status import as_json, render_status
from gansearch.cli.arguments import add_run, loaded_run
from gansearch.cli.command import Command
from gansearch.cli.parser import OK, Parser, positive_int
from gansearch.run.rows import is_being_written
from gansearch.text import fid_text


def _arguments(parser: Parser) -> None:
    add_run(parser)
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--top",
        metavar="N",
        type=positive_int,
        default=TOP,
        help=f"N trials: those that run, then those with the lowest FIDs (default: {TOP})",
    )
    which.add_argument("--all", action="store_true", help="all trials")
    parser.add_argument("--wide", action="store_true", help="whole reasons, however long lines get")
    parser.add_argument("--json", action="store_true", help="a list of objects instead of a table, with all trials")
    parser.add_argument("--watch", action="store_true", help="repeat every two seconds while the search runs")


def _run(args: argparse.Namespace) -> int:
    while True:
        run = loaded_run(args)
        if args.json:
            print(json.dumps(as_json(run.ledger), allow_nan=False), flush=True)
        else:
            total = run.ledger.total(run.manifest.options.trials)
            rows = None if args.all else args.top
            table = render_status(run.ledger, total=total, max_kimg=run.manifest.max_kimg, rows=rows, winner=run.winner)
            table.notes += map(str, noisy_rungs(run))
            if run.finals is not None:
                best = run.finals.winner
                table.notes.append(f"winner of the finals: trial {best.trial_id}, mean FID {fid_text(best.mean)}")
            table.write(wide=args.wide)
        if not args.watch or not is_being_written(run.dir.results):
            return OK
        time.sleep(2)


COMMAND = Command(group="searches", summary="show how far a search is", arguments=_arguments, run=_run)
