"""Says from a table of measured curves which rungs tell anything, and how long a trial should be.

    python -m benchmarks.search_replay.rungs benchmarks/search_replay/digits.csv --workers 2 --kimg 200

The first table has a line for each evaluation. `correlation` is Spearman's, between the FIDs there and at the end; a
training that diverged ranks last. `noise` is the standard deviation of the logarithm of an FID between the seeds of a
configuration, pooled, and `spread` the one between these configurations. `kept` is the share of the best tenth of the
configurations at the end that is among the best third there.

The second table has a line for each length and first rung. Searches with random proposals train so many kimg in all
that a budget of time allows, each with the table cut at that length. `FID` is that of the best trial of full length at
the end of a search: the median over seeds, and the quartiles.
"""

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from statistics import fmean, quantiles

import numpy as np
from scipy import stats

from benchmarks.search_replay.methods import replay
from benchmarks.search_replay.parallel import quiet, replayed
from benchmarks.search_replay.peers import ETA
from benchmarks.search_replay.problem import Floats
from benchmarks.search_replay.simulate import Cluster
from benchmarks.search_replay.table import Table, read_table
from gansearch.errors import UserError
from gansearch.run.manifest import rungs
from gansearch.search.find_space import find_space


def main() -> int:
    args = _arguments()
    quiet()
    try:
        table = read_table(args.table, find_space(args.space))
        _print_evaluations(table)
        _print_lengths(table, args)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _print_evaluations(table: Table) -> None:
    print("  kimg  correlation  noise  spread  kept")
    fids = first_seeds(table)
    for index, (noise, spread) in enumerate(noises(table)):
        kimg = table.space.base.train.eval_images * (index + 1) / 1000
        correlation = stats.spearmanr(fids[:, index], fids[:, -1]).statistic
        print(f"{kimg:6g} {correlation:12.2f} {noise:6.2f} {spread:7.2f} {kept(fids, index):5.0%}")


def first_seeds(table: Table) -> Floats:
    """Returns the FIDs of the first training of each configuration, inf from where it diverged on.

    Shape (configurations, evaluations).
    """
    fids = np.full((len(table.rows), table.space.base.train.evaluations), np.inf)
    for row, measured in zip(fids, table.rows, strict=True):
        row[: len(measured.curves[0])] = measured.curves[0]
    return fids


def kept(fids: Floats, index: int) -> float:
    """Returns the share of the best tenth at the end that is among the best third at an evaluation."""
    number = len(fids)
    best = np.argsort(fids[:, -1])[: math.ceil(number / 10)]
    third = np.argsort(fids[:, index])[: number // ETA]
    return float(np.isin(best, third).mean())


def noises(table: Table) -> Iterator[tuple[float, float]]:
    """Yields for each evaluation the standard deviations of log FIDs between seeds and between configurations.

    Both are of the configurations that came to the end with each of several seeds; nan where there are fewer than two.
    """
    full = table.space.base.train.evaluations
    repeated = [row.curves for row in table.rows if len(row.curves) > 1 and all(len(one) == full for one in row.curves)]
    for index in range(full):
        logs = [np.log([curve[index] for curve in curves]) for curves in repeated]
        if len(logs) < 2:
            yield math.nan, math.nan
            continue
        freedom = sum(len(one) - 1 for one in logs)
        squares = sum(float(((one - one.mean()) ** 2).sum()) for one in logs)
        yield math.sqrt(squares / freedom), float(np.std([one.mean() for one in logs], ddof=1))


def _print_lengths(table: Table, args: argparse.Namespace) -> None:
    print(f"\n{args.kimg:g} kimg on each of {args.workers} workers\nlength  rungs                 trials  FID")
    interval = table.space.base.train.eval_images / 1000
    for length, first in product(args.lengths, args.first_rungs):
        short = table.cut(round(length / interval))
        train, end = short.space.base.train, args.kimg / length
        if 2 * first > train.evaluations:
            continue  # no rung lies in the second half
        method, cluster = f"ours,sampler=random,first_rung={first}", Cluster(args.workers, end)
        traces = list(replayed(replay, [(method, short, seed, cluster) for seed in range(args.seeds)], args.processes))
        fids = [trace.regret(end) + short.optimum for trace in traces]
        _print_length(length, rungs(train, ETA, first), fids, [trace.trials for trace in traces])


def _print_length(length: float, at: Sequence[int], fids: Sequence[float], trials: Sequence[int]) -> None:
    low, middle, high = quantiles(fids, n=4, method="inclusive")
    shown = " ".join(f"{images / 1000:g}" for images in at[:-1])
    print(f"{length:6g}  {shown:20} {fmean(trials):7.0f}  {middle:.2f} ({low:.2f}, {high:.2f})")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--space", default="digits", help="the space that the table was drawn from")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kimg", type=float, default=200.0, help="what each worker trains in all")
    parser.add_argument("--lengths", type=float, nargs="+", default=[9.6, 14.4, 19.2, 28.8], metavar="KIMG")
    parser.add_argument("--first-rungs", type=int, nargs="+", default=[1, 2, 3, 4], help="in evaluations")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--processes", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
