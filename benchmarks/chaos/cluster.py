"""Many trials on a cluster whose actors and nodes are lost again and again."""

import random
import time
from argparse import Namespace
from pathlib import Path

from benchmarks.chaos.check import check
from benchmarks.chaos.faults import Faults
from benchmarks.chaos.nodes import Nodes
from benchmarks.chaos.output import Outcome
from benchmarks.chaos.process import Driver
from gansearch.cli.parser import OK
from gansearch.run import RunDir


def disturbed_cluster(args: Namespace, folder: Path) -> Outcome:
    """Runs search after search on one cluster until the minutes are over; returns what came of it."""
    outcome, chance = Outcome(), random.Random(args.seed)
    end = time.monotonic() + 60 * args.minutes
    nodes = Nodes(args.nodes)
    try:
        while time.monotonic() < end:
            _round(args, nodes, RunDir(folder / f"cluster-{outcome.rounds}"), end, chance, outcome)
    finally:
        nodes.close()
    return outcome


def _round(args: Namespace, nodes: Nodes, run: RunDir, end: float, chance: random.Random, outcome: Outcome) -> None:
    more = ["--address", nodes.address, "--gpus-per-trial", "0", "--trials", str(args.trials), "--seed", str(args.seed)]
    if args.trial_timeout:
        more += ["--trial-timeout", f"{args.trial_timeout:g}s"]
    driver = Driver(run.path, *more)
    faults = Faults(nodes, driver, run.trials, chance, with_timeout=bool(args.trial_timeout))
    hung = False
    try:
        while not driver.ended(chance.uniform(0.5, 1.5) * args.every):
            hung = time.monotonic() > driver.last + args.patience
            if hung:
                break
            if len(nodes.alive) < args.nodes:
                outcome.joined += nodes.join()
            if driver.printed and time.monotonic() < end:
                faults.strike()
    finally:
        outcome.left_behind += driver.close()
    outcome.rounds += 1
    outcome.killed += faults.counts
    outcome.add(f"round {outcome.rounds}", check(run, driver.printed, args.trials), faults.counts.total())
    if hung:
        outcome.hung += 1
        outcome.wrong.append(f"round {outcome.rounds}: hung, no event for {args.patience:g} s")
    elif driver.process.returncode != OK:
        outcome.wrong.append(
            f"round {outcome.rounds}: exit code {driver.process.returncode} ({'; '.join(driver.errors)})"
        )
