"""A driver as a process of its own, with what it prints and what it leaves behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from pathlib import Path

import psutil

from benchmarks.chaos.nodes import kill, name_of

GONE_AFTER_KILL = 90
"""Seconds in which all processes are gone after kill -9: agents of Ray that were starting look for it for a minute."""


class Driver:
    """Runs `python -m benchmarks.chaos.driver` with these arguments.

    Attributes:
        printed: The events that it printed, `EVENT TRIAL_ID`, each after its row was on the disk.
        first: When it printed the first one; None before.
        last: When it printed the last one, or was started.
    """

    def __init__(self, run: Path, *arguments: str) -> None:
        self.printed: list[str] = []
        self.errors: deque[str] = deque(maxlen=5)
        self.first: float | None = None
        self.last = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.chaos.driver", str(run), *arguments],
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._family: set[psutil.Process] = set()  # that were seen: those of its Ray too
        self._readers = [threading.Thread(target=read) for read in (self._read_events, self._read_errors)]
        for reader in self._readers:
            reader.start()

    def _read_events(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.printed.append(line.strip())
            self.last = time.monotonic()
            self.first = self.first or self.last

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        self.errors.extend(line.strip() for line in self.process.stderr)

    def ended(self, wait: float) -> bool:
        """Returns whether the driver ends within `wait` seconds."""
        with suppress(psutil.NoSuchProcess):
            self._family.update(psutil.Process(self.process.pid).children(recursive=True))
        try:
            self.process.wait(wait)
        except subprocess.TimeoutExpired:
            return False
        return True

    def send(self, number: int, *, to_group: bool = False) -> None:
        """Sends a signal to the driver, or to its whole process group; its Ray is part of that."""
        if not self.ended(0):
            (os.killpg if to_group else os.kill)(self.process.pid, number)

    def close(self, seconds: float = GONE_AFTER_KILL) -> list[str]:
        """Ends the driver by force where it has not ended.

        Returns the names of processes that it has left behind: they were still there `seconds` later.
        """
        self.send(signal.SIGKILL)
        self.process.wait()
        end = time.monotonic() + seconds
        while (left := [one for one in self._family if _is_alive(one)]) and time.monotonic() < end:
            time.sleep(0.2)
        names = [name_of(process) for process in left]
        for process in left:
            kill(process)
        for reader in self._readers:
            reader.join()
        return names


def _is_alive(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
