"""Compares methods of search on a virtual cluster: ratios of their regrets to those of random search with Ray's ASHA.

    python -m benchmarks.search_replay --functions h6-good h6-bad --methods ours ray-optuna --seeds 10
    python -m benchmarks.search_replay --functions --table TABLE.csv --space digits
    python -m benchmarks.search_replay --functions --curves CURVES.csv

A method `ours` takes choices: `ours,sampler=random,scheduler=none,sampler.OPTION=VALUE`. A ratio below 1 is better than
the reference. It is a geometric mean over seeds, with the 95 % interval of the paired comparison.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from itertools import product
from pathlib import Path

from benchmarks.search_replay.curves import read_curves, replay_order
from benchmarks.search_replay.functions import FUNCTIONS
from benchmarks.search_replay.methods import REFERENCE, missing, replay
from benchmarks.search_replay.output import Runs, print_orders, print_regrets, print_times
from benchmarks.search_replay.parallel import quiet, replayed
from benchmarks.search_replay.problem import Problem
from benchmarks.search_replay.simulate import RULES, Cluster
from benchmarks.search_replay.table import Table, read_table
from gansearch.cli.parser import positive_float
from gansearch.errors import UserError
from gansearch.search.find_space import find_space


def main() -> int:
    args = _arguments()
    quiet()
    try:
        methods = [REFERENCE, *_installed(args.methods)]
        problems: dict[str, Problem] = {name: FUNCTIONS[name] for name in args.functions}
        if args.table:
            problems[args.table.stem] = read_table(args.table, find_space(args.space))
        if problems:
            _compare(problems, methods, args)
        if args.curves:
            _curves([method for method in methods if method.startswith("ours")], args)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _compare(problems: Mapping[str, Problem], methods: list[str], args: argparse.Namespace) -> None:
    """Replays every method on every problem with every seed, and prints what came out."""
    cluster = Cluster(args.workers, args.trainings)
    targets = {name: problem.top(args.top / 100) for name, problem in problems.items() if isinstance(problem, Table)}
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    keys = list(product(problems, methods, seeds))
    jobs = [(method, problems[name], seed, cluster) for name, method, seed in keys]
    runs: Runs = dict(zip(keys, replayed(replay, jobs, args.processes), strict=True))
    if args.json:
        rows = [
            {"problem": name, "method": method, "seed": seed, "cluster": asdict(cluster), **asdict(trace)}
            for (name, method, seed), trace in runs.items()
        ]
        args.json.write_text(json.dumps(rows))
    functions = {key: trace for key, trace in runs.items() if key[0] not in targets}
    if functions:
        print_regrets(functions, args.trainings, args.rule)
    for name, target in targets.items():  # a regret can be 0 there, so times are compared in place of regrets
        print_times(runs, name, target, args.trainings)


def _curves(methods: list[str], args: argparse.Namespace) -> None:
    curves = read_curves(args.curves, args.steps, args.evaluations)
    for method in methods:
        jobs = [(method, curves, seed, args.curve_workers) for seed in range(args.orders)]
        print_orders(method, list(replayed(replay_order, jobs, args.processes)))


def _installed(names: Iterable[str]) -> Iterator[str]:
    """Yields the methods that can run here, and warns of the others."""
    for name in dict.fromkeys(names):
        if package := missing(name, FUNCTIONS["h3-good"]):
            print(f"{name} is left out: the package {package} is not installed", file=sys.stderr)
        elif name != REFERENCE:
            yield name


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--functions", nargs="*", choices=list(FUNCTIONS), default=list(FUNCTIONS), metavar="NAME")
    parser.add_argument("--methods", nargs="+", default=["ours", "ray-optuna"], metavar="NAME")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=0, help="100 and more: defaults were chosen on lower seeds")
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--trainings", type=float, default=5.0, help="the time of a worker, in full trainings")
    parser.add_argument("--rule", choices=RULES, default=RULES[0], help="which trial is the incumbent (simulate.py)")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all traces there")
    table = parser.add_argument_group("a table of configurations (table.py)")
    table.add_argument("--table", type=Path, metavar="CSV")
    table.add_argument("--space", default="digits", help="the space that the table was drawn from")
    table.add_argument("--top", type=positive_float, default=1.0, metavar="PERCENT", help="the target: one of the best")
    curves = parser.add_argument_group("a table of curves (curves.py)")
    curves.add_argument("--curves", type=Path, metavar="CSV")
    curves.add_argument("--orders", type=int, default=300)
    curves.add_argument("--curve-workers", type=int, default=4)
    curves.add_argument("--steps", type=int, default=100_000, help="where the curves are cut")
    curves.add_argument("--evaluations", type=int, default=10, help="up to there, at equal distances")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
