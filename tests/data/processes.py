"""Processes that reach a point together: only several of them can show that work is done once per machine."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


_FORKED = """
import gc, os, sys
{imports}
gc.freeze()  # or each process goes through millions of objects of the libraries once more when it ends
pipes = [[int(end) for end in sys.argv.pop(1).split(",")] for _ in range({count})]
for number, own in enumerate(pipes):
    if os.fork() == 0:
        for standard, end in enumerate(own):
            os.dup2(end, standard)
        for end in sum(pipes, []):
            os.close(end)
        break
else:
    for end in sum(pipes, []):
        os.close(end)
    sys.exit(any([os.wait()[1] for _ in pipes]))
{script}
"""


class Companions:
    """Python processes that print a line, wait for a line on stdin, and continue, all together.

    They are forked from one that has made the imports, which take most of the time.
    """

    def __init__(self, imports: str, script: str, *arguments: str, count: int = 2) -> None:
        pipes = [[os.pipe() for _ in range(3)] for _ in range(count)]
        theirs = [[stdin[0], stdout[1], stderr[1]] for stdin, stdout, stderr in pipes]
        code = _FORKED.format(imports=imports, script=script, count=count)
        self._process = subprocess.Popen(
            [sys.executable, "-c", code, *(",".join(map(str, ends)) for ends in theirs), *arguments],
            cwd=ROOT,
            pass_fds=[end for ends in theirs for end in ends],
        )
        for end in [end for ends in theirs for end in ends]:
            os.close(end)
        self._stdin = [os.fdopen(stdin[1], "w") for stdin, _, _ in pipes]
        self._stdout = [os.fdopen(stdout[0]) for _, stdout, _ in pipes]
        self._stderr = [os.fdopen(stderr[0]) for _, _, stderr in pipes]

    def step(self) -> list[str]:
        """Waits for a line of each process, lets all processes continue, and returns the lines."""
        lines = [stdout.readline() for stdout in self._stdout]
        for line, stderr in zip(lines, self._stderr, strict=True):
            assert line, stderr.read()
        for stdin in self._stdin:
            stdin.write("\n")
            stdin.flush()
        return [line.strip() for line in lines]

    def end(self) -> list[str]:
        """Waits for the end of all processes; returns what each has written to stderr."""
        for stdin in self._stdin:
            stdin.close()
        errors = [stderr.read() for stderr in self._stderr]
        for stream in (*self._stdout, *self._stderr):
            stream.close()
        assert self._process.wait(60) == 0, errors
        return errors
