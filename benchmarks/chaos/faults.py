"""Faults of a cluster: each kind strikes once, at something that is there now."""

import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil

from benchmarks.chaos.nodes import Nodes, kill, name_of
from benchmarks.chaos.process import Driver
from benchmarks.chaos.sleeping import INTERVALS
from gansearch.run.paths import CHECKPOINT_PREFIX, LAST


def trains(name: str) -> bool:
    """Returns whether the worker of this name has a trial."""
    return name.startswith("ray::") and not is_starting(name)


def is_starting(name: str) -> bool:
    """Returns whether the worker of this name starts, or has no actor yet."""
    return not name.startswith("ray::") or name.endswith(("__init__", "ray::IDLE"))


class Faults:
    """Strikes a search on a cluster, at random.

    Args:
        nodes: The cluster.
        driver: The driver of the search.
        trials: The folder of the run's trials.
        random: Chooses.
        with_timeout: Whether a trial that hangs is ended, so that one may be stopped.

    Attributes:
        counts: How often each kind has struck.
    """

    def __init__(
        self, nodes: Nodes, driver: Driver, trials: Path, random: random.Random, *, with_timeout: bool = False
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._nodes, self._driver, self._trials, self._random = nodes, driver, trials, random
        self._kinds = {
            "an actor": self.actor,
            "an actor in its start": self.start,
            "an actor whose trial has ended": self.after_end,
            "a node": self.node,
        }
        if with_timeout:
            self._kinds["an actor stopped"] = self.stop

    def strike(self) -> None:
        """Strikes once, half the times an actor that trains, or not at all where nothing of that kind is there.

        Where an actor takes longer to start than passes between two strikes, a strike that always finds something
        finds what starts, and no trial is trained.
        """
        kind = self._random.choice([*self._kinds, *["an actor"] * (len(self._kinds) - 2)])
        if self._kinds[kind]():
            self.counts[kind] += 1

    def actor(self) -> bool:
        """Kills an actor that trains."""
        return self._kill(trains)

    def start(self) -> bool:
        """Kills a worker that is starting, or has no task yet."""
        return self._kill(is_starting)

    def after_end(self) -> bool:
        """Kills an actor right after its trial has ended or waits."""
        printed, seen = self._driver.printed, len(self._driver.printed)
        end = time.monotonic() + 2
        while time.monotonic() < end:
            for line in printed[seen:]:
                event, trial_id = line.split()
                process = self.process_of(trial_id) if event in {"end", "decision"} else None
                if process is not None:
                    kill(process)
                    return True
            seen = len(printed)
            time.sleep(0.01)
        return False

    def process_of(self, trial_id: str) -> psutil.Process | None:
        """Returns the process that trained a trial last; None where there is none any more."""
        path = self._trials / trial_id / INTERVALS
        if not path.exists():
            return None
        pid = int(path.read_text().splitlines()[-1].split()[0])
        return next((process for process in self._nodes.workers() if process.pid == pid), None)

    def node(self) -> bool:
        """Loses a node, as long as another one is there."""
        alive = self._nodes.alive
        if len(alive) < 2:
            return False
        self._nodes.lose(self._random.choice(alive))
        return True

    def stop(self) -> bool:
        """Stops an actor that trains, so that it hangs."""
        return self._kill(trains, signal.SIGSTOP)

    def _kill(self, fits: Callable[[str], bool], number: int = signal.SIGKILL) -> bool:
        found = [worker for worker in self._nodes.workers() if fits(name_of(worker))]
        if not found:
            return False
        kill(self._random.choice(found), number)
        return True


def spoil(trial: Path, random: random.Random) -> bool:
    """Cuts the newest checkpoint of a trial; returns whether there was one."""
    found = sorted(trial.glob(f"{CHECKPOINT_PREFIX}*/{LAST}"))
    if not found:
        return False
    content = found[-1].read_bytes()
    found[-1].write_bytes(content[: random.randrange(len(content))])
    return True
