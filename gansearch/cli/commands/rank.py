"""`rank RUN`: the finalists, who decide, and the trials of the search by their lowest FID."""

import argparse
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from gansearch.analysis.rank import Ranked, rank, to_json
from gansearch.analysis.rank_table import TOP, write_ranking
from gansearch.cli.arguments import add_run, loaded_run
from gansearch.cli.command import Command
from gansearch.cli.parser import OK, Parser, positive_int
from gansearch.cli.results import no_fid
from gansearch.errors import UserError, one_line
from gansearch.run import Run

if TYPE_CHECKING:
    import pandas as pd


def _arguments(parser: Parser) -> None:
    add_run(parser)
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--top", metavar="N", type=positive_int, help=f"only the N best (default: {TOP} in the table, else all)"
    )
    which.add_argument("--all", action="store_true", help="all trials")
    parser.add_argument("--columns", metavar="NAME,...", help="these columns: rank,trial,fid,at_kimg,g_lr,...")
    parser.add_argument("--wide", action="store_true", help="all columns, however long lines get")
    parser.add_argument("--json", action="store_true", help="a list of objects instead of a table")
    parser.add_argument("--csv", metavar="FILE", type=Path, help="also write FILE, one column per parameter")
    parser.add_argument("--parquet", metavar="FILE", type=Path, help="the same, with types; pandas and others read it")
    parser.add_argument(
        "--evaluations", action="store_true", help="write one line per evaluation to these files, not one per trial"
    )


def _run(args: argparse.Namespace) -> int:
    run = loaded_run(args)
    rows = rank(run, args.top) if args.json or args.csv or args.parquet else []
    if args.evaluations and not (args.csv or args.parquet):
        raise UserError("--evaluations: name the file to write with --csv FILE or --parquet FILE")
    if args.csv:
        frame = _frame(run, rows, evaluations=args.evaluations)
        _write("--csv", args.csv, lambda path: frame.to_csv(path, index=False, lineterminator="\n"))
    if args.parquet:
        from gansearch.analysis.frames import write_parquet

        frame = _frame(run, rows, evaluations=args.evaluations)
        _write("--parquet", args.parquet, lambda path: write_parquet(frame, path))
    if args.json:
        print(to_json(rows))
    else:
        columns = args.columns.split(",") if args.columns is not None else ()
        top = None if args.all else args.top or TOP
        write_ranking(run, top=top, columns=columns, wide=args.wide)
    return OK if run.ledger.best else no_fid(run.dir.path)


def _frame(run: Run, rows: list[Ranked], *, evaluations: bool) -> "pd.DataFrame":
    # Imports pandas, which the table does without.
    from gansearch.analysis.frames import evaluations_frame, ranking_frame

    if not evaluations:
        return ranking_frame(rows, run.manifest.space.params)
    frame = evaluations_frame(run)
    return frame[frame["trial_id"].isin([row.trial_id for row in rows])]


def _write(option: str, path: Path, write: Callable[[Path], None]) -> None:
    """Writes a file whole or not at all. Its name decides how it is packed, so it has that name from the start."""
    try:
        if (path.exists() and not path.is_file()) or not path.parent.is_dir():
            write(path)  # a device, or an error that says what is wrong
            return
        with TemporaryDirectory(prefix=".", dir=path.parent) as folder:
            staging = Path(folder, path.name)
            write(staging)
            staging.replace(path)
    except OSError as error:
        raise UserError(f"cannot write {path} ({one_line(error)}): choose another {option}") from None


COMMAND = Command(
    group="results",
    summary="list the finalists, and the trials by lowest FID",
    arguments=_arguments,
    run=_run,
)
