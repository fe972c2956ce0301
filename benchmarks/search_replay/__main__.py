"""Compares methods of search on a virtual cluster: ratios of their regrets to those of random search with Ray's ASHA.

    python -m benchmarks.search_replay --functions h6-good h6-bad --methods ours ray-optuna --seeds 10

A method `ours` takes choices: `ours,sampler=random,scheduler=none,sampler.OPTION=VALUE`. A ratio below 1 is better than
the reference. It is a geometric mean over seeds, with the 95 % interval of the paired comparison.
"""

import argparse
import json
import logging
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean, median
from typing import NamedTuple

from benchmarks.search_replay.compare import log_ratios, overall, ratio, worst
from benchmarks.search_replay.functions import FUNCTIONS
from benchmarks.search_replay.methods import REFERENCE, missing, replay
from benchmarks.search_replay.problem import Floats
from benchmarks.search_replay.simulate import RULES, Cluster, Trace
from gansearch.errors import UserError

_COLUMNS = "{:12} {:28} {:>20} {:>13} {:>8} {:>7} {:>9} {:>6}"


class Run(NamedTuple):
    """One search: what to replay."""

    function: str
    method: str
    seed: int
    cluster: Cluster


def main() -> int:
    logging.disable(logging.WARNING)  # of Ray and Optuna, once a search
    args = _arguments()
    cluster = Cluster(args.workers, args.trainings)
    try:
        methods = [REFERENCE, *_installed(args.methods)]
        runs = [Run(*one, cluster) for one in product(args.functions, methods, range(args.seeds))]
        traces = dict(_traces(runs, args.processes))
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    if args.json:
        rows = [{**run._asdict(), "cluster": asdict(run.cluster), **asdict(trace)} for run, trace in traces.items()]
        args.json.write_text(json.dumps(rows))
    _print(traces, args, methods)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--functions", nargs="+", choices=list(FUNCTIONS), default=list(FUNCTIONS), metavar="NAME")
    parser.add_argument("--methods", nargs="+", default=["ours", "ray-optuna"], metavar="NAME")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--trainings", type=float, default=5.0, help="the time of a worker, in full trainings")
    parser.add_argument("--rule", choices=RULES, default=RULES[0], help="which trial is the incumbent (simulate.py)")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all traces there")
    return parser.parse_args()


def _installed(names: Iterable[str]) -> Iterator[str]:
    """Yields the methods that can run here, and warns of the others."""
    for name in dict.fromkeys(names):
        if package := missing(name, next(iter(FUNCTIONS.values()))):
            print(f"{name} is left out: the package {package} is not installed", file=sys.stderr)
        elif name != REFERENCE:
            yield name


def _traces(runs: Sequence[Run], processes: int) -> Iterator[tuple[Run, Trace]]:
    """Replays all runs, with progress on stderr. What a run gives does not depend on the process."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the processes that are started below
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        traces = map(_replay, runs) if processes == 1 else pool.map(_replay, runs)
        for number, (run, trace) in enumerate(zip(runs, traces, strict=True), 1):
            print(f"\r{number}/{len(runs)} searches", end="\n" * (number == len(runs)), file=sys.stderr, flush=True)
            yield run, trace


def _replay(run: Run) -> Trace:
    logging.disable(logging.WARNING)
    return replay(run.method, FUNCTIONS[run.function], run.seed, run.cluster)


def _print(traces: dict[Run, Trace], args: argparse.Namespace, methods: Iterable[str]) -> None:
    """Prints a line for each function and method, and one over all functions for each method."""

    def of(function: str, method: str) -> list[Trace]:
        return [trace for run, trace in traces.items() if (run.function, run.method) == (function, method)]

    end = args.trainings
    print(_COLUMNS.format("function", "method", "ratio", "worst, at", "regret", "trials", "trainings", "busy"))
    for method in methods:
        logs: dict[str, Floats] = {}
        for function in args.functions:
            found, reference = of(function, method), of(function, REFERENCE)
            logs[function] = log_ratios(found, reference, end, args.rule)
            highest, time = worst(found, reference, end, args.rule)
            print(
                _COLUMNS.format(
                    function,
                    method,
                    str(ratio(logs[function])),
                    f"{highest:.2f} T={time:.1f}",
                    f"{median(trace.regret(end, args.rule) for trace in found):.3f}",
                    f"{fmean(trace.trials for trace in found):.0f}",
                    f"{fmean(trace.trainings for trace in found):.1f}",
                    f"{fmean(trace.busy for trace in found):.0%}",
                )
            )
        print(_COLUMNS.format("all", method, str(overall(logs)), "", "", "", "", "").rstrip())


if __name__ == "__main__":
    sys.exit(main())
