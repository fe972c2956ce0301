"""`analyze.py`: ranks, plots and exports the results of a search, and trains finals."""

import argparse
import logging
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gansearch.analysis.rank import Ranked, rank, to_csv, to_json, write_table
from gansearch.analysis.text import fid_text, floor_text
from gansearch.cli.parser import NO_FID, OK, Parser, call, positive_int
from gansearch.cli.resources import add_resource_options, given_resources
from gansearch.errors import UserError, unknown
from gansearch.run import Ledger, Run, TrialState, find_run, load
from gansearch.run.paths import DEFAULT_RUNS_DIR

if TYPE_CHECKING:
    from gansearch.search.shutdown import GracefulShutdown

logger = logging.getLogger(__name__)

Handler = Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `gansearch-analyze` and returns its exit code: 0, 2 for wrong input, 3 where no trial has a finite FID."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = _parser()
    if not words:
        parser.error("name a RUN: a run's directory, or its name under runs/")
    if words[0] not in {*_COMMANDS, "-h", "--help"}:
        words.insert(0, _NO_COMMAND)
    args = parser.parse_args(words)
    args.words = words
    return call(args.prog, lambda: args.handler(args))


def _all(args: argparse.Namespace) -> int:
    first, *more = args.run
    if more:
        if first in _COMMANDS:
            raise UserError(f"options go after the command: {first} RUN [options]")
        raise unknown("command", first, _COMMANDS)
    loaded = load(find_run(first, args.runs_dir))
    rows = rank(loaded)
    write_table(rows, loaded.manifest.floor)
    return _write_plots(loaded, None) if _scored(rows) else _no_fid(loaded)


def _rank(args: argparse.Namespace) -> int:
    loaded = load(find_run(args.run, args.runs_dir))
    rows = rank(loaded)
    if args.csv:
        _write(args.csv, to_csv(rows[: args.top], loaded.manifest.space.params))
    if args.json:
        print(to_json(rows[: args.top]))
    else:
        write_table(rows, loaded.manifest.floor, top=args.top)
    return OK if _scored(rows) else _no_fid(loaded)


def _plot(args: argparse.Namespace) -> int:
    loaded = load(find_run(args.run, args.runs_dir))
    return _write_plots(loaded, args.out) if any(state.best for state in loaded.ledger.values()) else _no_fid(loaded)


def _export(args: argparse.Namespace) -> int:
    # Imports torch, which the other commands do without.
    from gansearch.export import export

    folder = export(load(find_run(args.run, args.runs_dir)), args.trial, args.out)
    print(folder, flush=True)
    if args.measure is not None:
        _measure(folder, args.measure)
    return OK


def _finals(args: argparse.Namespace) -> int:
    run = find_run(args.run, args.runs_dir)
    loaded = load(run)
    # Imports SciPy; below Ray and torch too.
    from gansearch.analysis.finals import finalists, standings, write_finals

    chosen = finalists(loaded.ledger, args.top)
    if not chosen:
        return _no_fid(loaded)
    shutdown = _train_finals(loaded, chosen, args)
    if len(chosen) < args.top:
        plural = "s" if len(chosen) > 1 else ""
        logger.info("the search has %d configuration%s with an FID, not %d", len(chosen), plural, args.top)
    found = standings(load(run), args.top, args.seeds)
    if args.json:
        print(to_json(found))
    else:
        write_finals(found)
    if shutdown is not None and shutdown.signal is not None:
        logger.info("interrupted, everything is saved; continue with: gansearch-analyze %s", shlex.join(args.words))
        return shutdown.exit_code
    return OK if any(one.fids for one in found) else NO_FID


def _train_finals(loaded: Run, chosen: list[TrialState], args: argparse.Namespace) -> "GracefulShutdown | None":
    """Trains the finals that are missing and returns the shutdown of the search; None where no final is missing."""
    from gansearch.search.queue import finals_queue

    plan = loaded.plan
    if not finals_queue(plan, loaded.ledger, chosen, args.seeds):
        return None
    from gansearch.cli.progress import Progress
    from gansearch.search.search import Search

    # The budgets limit the search, not the finals.
    plan = plan.with_options({"time_budget": None, "gpu_hours": None, **given_resources(args)})

    def total(ledger: Ledger) -> int:
        return sum(not trial.is_final for trial in ledger.values()) + len(chosen) * args.seeds

    progress = Progress(total, plan.space.base.train.max_kimg)
    search = Search(plan, progress.listen)
    with progress.shown():
        search.finals(chosen, args.seeds)
    return search.shutdown


def _measure(folder: Path, count: int) -> None:
    """Measures an exported generator. Scores go to stdout, one a line; scores that need more images are logged."""
    from gansearch.export import measure

    scores, floor = measure(folder, count)
    print(f"FID of {scores.protocol.num_fake:,} images: {fid_text(scores.fid)}")
    if scores.fid_infinity is not None:
        fid, error = scores.fid_infinity.fid, scores.fid_infinity.standard_error
        print(f"FID at infinity: {fid_text(fid)} +- {error:.{2 if abs(fid) >= 1 else 4}f} (error of the line)")
    if scores.kid is not None:
        print(f"KID: mean {scores.kid.mean:.6f}, standard deviation {scores.kid.std:.6f}")
    if floor is not None:
        print(floor_text(floor))
    for reason in scores.missing:
        logger.info("not measured: %s", reason)


_NO_COMMAND = "all"
_COMMANDS: dict[str, tuple[str, Handler]] = {
    "rank": ("the trials by lowest FID, with parameters and checkpoints", _rank),
    "plot": ("FID against kimg and against each parameter, as PNG files", _plot),
    "finals": ("which of the best configurations are ties: each trained again, with several seeds", _finals),
    "export": ("the best generator: weights, configuration, samples", _export),
}


def _parser() -> Parser:
    parser = Parser(
        description="Ranks, plots and exports what a search has found.",
        usage="%(prog)s [COMMAND] RUN [options]",
        epilog="Without a COMMAND: rank and plot. RUN is a run's directory, or its name under runs/.",
    )
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    everything = subparsers.add_parser(_NO_COMMAND, prog=parser.prog)
    everything.add_argument("run", metavar="RUN", nargs="+")
    added = {_NO_COMMAND: everything}
    for name, (what, handler) in _COMMANDS.items():
        added[name] = subparsers.add_parser(
            name, help=what, description=f"Writes {what}.", prog=f"{parser.prog} {name}"
        )
        added[name].add_argument("run", metavar="RUN", help="a run's directory, or its name under runs/")
        added[name].set_defaults(handler=handler)
    everything.set_defaults(handler=_all)
    for command in added.values():
        command.set_defaults(prog=command.prog)
        command.add_argument(
            "--runs-dir", metavar="DIR", type=Path, default=DEFAULT_RUNS_DIR, help="the folder of runs (default: runs)"
        )
    added["rank"].add_argument("--top", metavar="N", type=positive_int, help="only the N best (default: all trials)")
    added["rank"].add_argument("--json", action="store_true", help="a list of objects instead of a table")
    added["rank"].add_argument("--csv", metavar="FILE", type=Path, help="also write FILE, one column per parameter")
    added["plot"].add_argument("--out", metavar="DIR", type=Path, help="the folder to write (default: RUN/plots)")
    added["export"].add_argument("--trial", metavar="ID", help="which trial (default: the best)")
    added["export"].add_argument("--out", metavar="DIR", type=Path, help="the folder to write (default: RUN/best)")
    added["export"].add_argument(
        "--measure", metavar="N", type=_two_or_more, help="also measure FID, FID at infinity and KID of N images"
    )
    finals = added["finals"]
    finals.add_argument("--top", metavar="K", type=positive_int, default=3, help="how many configurations (default: 3)")
    finals.add_argument("--seeds", metavar="N", type=_two_or_more, default=5, help="seeds of each (default: 5)")
    finals.add_argument("--json", action="store_true", help="a list of objects instead of a table")
    add_resource_options(finals)
    return parser


def _two_or_more(text: str) -> int:
    if positive_int(text) < 2:
        raise argparse.ArgumentTypeError(f"{text} shows no spread: give 2 at least")
    return int(text)


def _scored(rows: Sequence[Ranked]) -> bool:
    return any(row.rank is not None for row in rows)


def _no_fid(loaded: Run) -> int:
    path = loaded.dir.path
    logger.info("no trial of %s has a finite FID; `gansearch status %s` gives the reasons", path, path)
    return NO_FID


def _write_plots(loaded: Run, out: Path | None) -> int:
    # Imports matplotlib, which `rank` does without.
    from gansearch.analysis.plotting import plot

    for path in plot(loaded, out):
        print(path)
    return OK


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise UserError(f"cannot write {path} ({error.strerror}): choose another --csv") from None
