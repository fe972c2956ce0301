"""Kills what can be killed, at random moments, and checks that a search loses nothing by it.

    python -m benchmarks.chaos --minutes 10 [--mode cluster driver] [--every 2] [--trial-timeout 20]

`cluster` runs trials on three nodes, and kills an actor or a node every few seconds. `driver` runs one trial at a time,
and kills the driver again and again; its run is compared with that of a search that was left alone. Trials only sleep;
all else is real. The exit code is 1 where a trial failed, a row is lost or doubled, more than one interval was
repeated a kill, something hung or was left behind, or the decisions differ.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from benchmarks.chaos.cluster import disturbed_cluster
from benchmarks.chaos.kills import disturbed_driver
from benchmarks.chaos.sleeping import SECONDS

MODES = {"cluster": disturbed_cluster, "driver": disturbed_driver}


def main() -> int:
    args = _arguments()
    os.environ |= {SECONDS: str(args.interval)}
    wrong = 0
    for mode in args.mode:
        folder = Path(tempfile.mkdtemp(prefix="chaos-"))
        outcome = MODES[mode](args, folder)
        print(f"{mode} (seed {args.seed}, {folder})", *outcome.lines(), sep="\n", flush=True)
        wrong += len(outcome.wrong) + len(outcome.left_behind)
    return 1 if wrong else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mode", nargs="+", choices=list(MODES), default=list(MODES))
    parser.add_argument("--minutes", type=float, default=10, help="how long the cluster is disturbed")
    parser.add_argument("--every", type=float, default=2, help="seconds between two faults, on average")
    parser.add_argument("--kills", type=int, default=20, help="how often a driver is killed")
    parser.add_argument("--spoil", type=float, default=0.5, help="how often a killed driver's checkpoint is damaged")
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--interval", type=float, default=0.3, help="seconds between two evaluations of a trial")
    parser.add_argument("--trial-timeout", type=float, help="seconds after which a trial that was stopped is ended")
    parser.add_argument("--bound", type=float, default=20, help="seconds in which a signal ends a driver")
    parser.add_argument("--patience", type=float, default=180, help="seconds without any row that count as hung")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
