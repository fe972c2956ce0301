"""Runs whole searches for the same time: `gansearch start digits`, and what a user would write in its place.

    python -m benchmarks.search_against_vanilla --seconds 240 --seeds 5 --sides ours vanilla --json FILE
    python -m benchmarks.search_against_vanilla --sides ours -- --sampler random --set train.max_kimg=28.8

What follows `--` goes to `gansearch start`. Sides take turns, seed by seed. With --json FILE each outcome is appended
to the file as a line; outcomes of the same budget and arguments that are there already are not measured again.
"""

import argparse
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import get_args

from benchmarks.search_against_vanilla.outcome import Outcome, Side, append, read
from benchmarks.search_against_vanilla.output import line, table
from benchmarks.search_against_vanilla.sides import run_side
from gansearch.errors import UserError

SIDES: tuple[Side, ...] = get_args(Side)


def main() -> int:
    args = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that a search that is running is ended too
    try:
        print(table(_outcomes(args)))
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:  # whole outcomes are in the file already
        return 130
    return 0


def _outcomes(args: argparse.Namespace) -> dict[Side, dict[int, Outcome]]:
    """Runs what the file lacks; returns the outcomes of all seeds by side."""
    own: dict[Side, tuple[str, ...]] = {side: tuple(args.arguments) if side == "ours" else () for side in args.sides}
    found: dict[Side, dict[int, Outcome]] = {side: {} for side in own}
    for outcome in read(args.json) if args.json else []:
        side, seed = outcome.side, outcome.seed
        if side in own and seed < args.seeds and (outcome.budget, outcome.arguments) == (args.seconds, own[side]):
            found[side][seed] = outcome
    for seed in range(args.seeds):
        first = seed % len(args.sides)  # no side is always the first, nor always after the same one
        for side in (*args.sides[first:], *args.sides[:first]):
            if seed not in found[side]:
                with _folder(args.out, f"{side}-{seed}-") as folder:
                    found[side][seed] = outcome = run_side(side, seed, args.seconds, own[side], folder)
                print(line(outcome), file=sys.stderr, flush=True)
                if args.json:
                    append(args.json, outcome)
    return found


@contextmanager
def _folder(parent: Path | None, prefix: str) -> Iterator[Path]:
    """Makes a new folder for the block: below `parent` to stay, without a parent to be removed afterwards."""
    if parent is None:
        with TemporaryDirectory() as folder:
            yield Path(folder)
    else:
        parent.mkdir(parents=True, exist_ok=True)
        yield Path(mkdtemp(prefix=prefix, dir=parent)).absolute()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=240, help="the time budget of every search")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--json", type=Path, metavar="FILE", help="where outcomes are kept, one a line")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="keep the runs there, for a closer look")
    parser.add_argument("arguments", nargs="*", help="after `--`: further arguments of `gansearch start`")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
