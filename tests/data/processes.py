"""Processes that reach a point together: only several of them can show that work is done once per machine."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


class Companion:
    """A Python process that prints a line, waits for a line on stdin, and continues."""

    def __init__(self, script: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", script, *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def read_line(self) -> str:
        """Returns the next line of the process. AssertionError with its stderr where the process has ended."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, self._process.communicate()[1]
        return line.strip()

    def resume(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def end(self) -> str:
        """Waits for the end of the process; returns its stderr."""
        _, errors = self._process.communicate(timeout=60)
        assert self._process.returncode == 0, errors
        return errors


def in_step(companions: list[Companion]) -> list[str]:
    """Waits for a line of each process, lets all processes continue, and returns the lines."""
    lines = [companion.read_line() for companion in companions]
    for companion in companions:
        companion.resume()
    return lines
