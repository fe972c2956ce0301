"""Two processes that reach a point together: what is done once per node has to be shown with more than one."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


class Companion:
    """A Python process that speaks in lines: it prints one, waits for one, and goes on."""

    def __init__(self, script: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", script, *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def hear(self) -> str:
        """Its next line. AssertionError with its stderr where it has ended instead."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, self._process.communicate()[1]
        return line.strip()

    def go_on(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def end(self) -> str:
        """Waits for its end; its stderr."""
        _, errors = self._process.communicate(timeout=60)
        assert self._process.returncode == 0, errors
        return errors


def in_step(companions: list[Companion]) -> list[str]:
    """The next line of each, when all have come so far; then all go on."""
    lines = [companion.hear() for companion in companions]
    for companion in companions:
        companion.go_on()
    return lines
