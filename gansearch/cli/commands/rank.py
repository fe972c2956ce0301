"""`rank RUN`: the trials by their lowest FID."""

import argparse
from pathlib import Path

from gansearch.analysis.rank import rank, to_csv, to_json, write_table
from gansearch.cli.arguments import add_run, loaded_run
from gansearch.cli.command import Command
from gansearch.cli.parser import OK, Parser, positive_int
from gansearch.cli.results import no_fid
from gansearch.errors import UserError


def _arguments(parser: Parser) -> None:
    add_run(parser)
    parser.add_argument("--top", metavar="N", type=positive_int, help="only the N best (default: all trials)")
    parser.add_argument("--json", action="store_true", help="a list of objects instead of a table")
    parser.add_argument("--csv", metavar="FILE", type=Path, help="also write FILE, one column per parameter")


def _run(args: argparse.Namespace) -> int:
    run = loaded_run(args)
    rows = rank(run)
    if args.csv:
        _write(args.csv, to_csv(rows[: args.top], run.manifest.space.params))
    if args.json:
        print(to_json(rows[: args.top]))
    else:
        write_table(rows, run.manifest.floor, top=args.top)
    return OK if run.ledger.best else no_fid(run.dir.path)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise UserError(f"cannot write {path} ({error.strerror}): choose another --csv") from None


COMMAND = Command(
    group="results",
    summary="list the trials by lowest FID, with parameters and checkpoints",
    arguments=_arguments,
    run=_run,
)
