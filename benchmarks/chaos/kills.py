"""A search of one trial at a time whose driver is killed or signalled, and started again by the same command line."""

import random
import signal
import time
from argparse import Namespace
from pathlib import Path

from benchmarks.chaos.check import check, outcome_of
from benchmarks.chaos.faults import spoil
from benchmarks.chaos.output import Outcome
from benchmarks.chaos.process import GONE_AFTER_KILL, Driver
from gansearch.cli.parser import OK
from gansearch.run import RunDir

_WAYS = {
    "driver, kill -9": (signal.SIGKILL, False),
    "driver, SIGTERM": (signal.SIGTERM, False),
    "driver's group, Ctrl-C": (signal.SIGINT, True),
    "driver's group, SIGTERM": (signal.SIGTERM, True),
}
_OFTEN = (3, 1, 1, 1)


def disturbed_driver(args: Namespace, folder: Path) -> Outcome:
    """Kills a driver `args.kills` times, lets it finish, and compares the run with that of one that was left alone."""
    result, chance = Outcome(), random.Random(args.seed)
    more = ["--max-concurrent", "1", "--gpus-per-trial", "0", "--trials", str(args.trials), "--seed", str(args.seed)]
    alone, run = RunDir(folder / "alone"), RunDir(folder / "driver")
    begun = time.monotonic()
    driver = Driver(alone.path, *more)
    _finish(driver, args, result)
    preparing = (driver.first or driver.last) - begun
    printed: list[str] = []
    spoilt = 0
    for _ in range(args.kills):
        driver = Driver(run.path, *more)
        _kill(driver, chance, preparing, args, result)
        printed += driver.printed
        if driver.printed and chance.random() < args.spoil:
            spoilt += spoil(run.trials / driver.printed[-1].split()[1], chance)
    driver = Driver(run.path, *more)
    _finish(driver, args, result)
    result.rounds = 1
    result.killed["a checkpoint"] += spoilt
    result.add("driver", check(run, printed + driver.printed, args.trials), args.kills + spoilt)
    if outcome_of(run) != outcome_of(alone):
        result.wrong.append(f"driver: {run.path} and {alone.path} differ in their proposals or decisions")
    return result


def _finish(driver: Driver, args: Namespace, result: Outcome) -> None:
    """Lets a driver come to its end."""
    while not driver.ended(1):
        if time.monotonic() > driver.last + args.patience:
            result.hung += 1
            result.wrong.append(f"driver: hung, no event for {args.patience:g} s")
            break
    result.left_behind += driver.close()
    if driver.process.returncode != OK:
        result.wrong.append(f"driver: exit code {driver.process.returncode} ({'; '.join(driver.errors)})")


def _kill(driver: Driver, chance: random.Random, preparing: float, args: Namespace, result: Outcome) -> None:
    """Kills a driver at any moment, half the times before its first row."""
    kind = chance.choices(list(_WAYS), _OFTEN)[0]
    number, to_group = _WAYS[kind]
    if chance.random() < 0.5:
        driver.ended(chance.uniform(0, preparing))
    else:
        while not driver.printed and not driver.ended(0.1):
            pass
        driver.ended(chance.uniform(0, 10))
    if driver.process.poll() is None:
        result.killed[kind] += 1
    driver.send(number, to_group=to_group)
    end = time.monotonic() + args.bound
    if not driver.ended(args.bound):
        result.hung += 1
        result.wrong.append(f"{kind}: not ended within {args.bound:g} s")
    # A signal leaves no process of Ray either when that time is over.
    result.left_behind += driver.close(GONE_AFTER_KILL if number == signal.SIGKILL else end - time.monotonic())
