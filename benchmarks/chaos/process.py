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

_GONE_SECONDS = 20  # in which all processes of a driver that was killed have to end


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
            start_new_session=True,  # which its Ray and all workers belong to
        )
        self._readers = [threading.Thread(target=read) for read in (self._read_events, self._read_errors)]
        for reader in self._readers:
            reader.start()

    def _read_events(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if not line[0].isalpha():  # Ray's own
                continue
            self.printed.append(line.strip())
            self.last = time.monotonic()
            self.first = self.first or self.last

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        self.errors.extend(line.strip() for line in self.process.stderr)

    def ended(self, wait: float) -> bool:
        """Returns whether the driver ends within `wait` seconds."""
        try:
            self.process.wait(wait)
        except subprocess.TimeoutExpired:
            return False
        return True

    def send(self, number: int, *, to_group: bool = False) -> None:
        """Sends a signal to the driver, or to its whole process group; its Ray is part of that."""
        if self.process.poll() is None:
            (os.killpg if to_group else os.kill)(self.process.pid, number)

    def close(self) -> int:
        """Ends the driver by force where it has not ended; returns how many processes it has left behind."""
        self.send(signal.SIGKILL)
        self.process.wait()
        end = time.monotonic() + _GONE_SECONDS
        while (left := self._descendants()) and time.monotonic() < end:
            time.sleep(0.2)
        for process in left:
            process.kill()
        for reader in self._readers:
            reader.join()
        return len(left)

    def _descendants(self) -> list[psutil.Process]:
        """Returns the processes of the driver's session, to which its Ray belongs."""
        found = []
        for process in psutil.process_iter():
            with suppress(OSError, psutil.NoSuchProcess):  # it has just ended
                if os.getsid(process.pid) == self.process.pid and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found
