"""Where what a command prints can't be written: the reader of a pipe has closed it, or the disk is full."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gansearch.cli.parser import OK, WRONG_INPUT
from tests.analysis.synthetic_run import evaluation, make_run, start

COMMANDS = (["spaces"], ["list", "--json"], ["rank", "run"])


def ended(words: list[str], output: int, folder: Path) -> tuple[int, str]:
    """Runs a command with an output for stdout; returns the exit code and stderr."""
    make_run(folder / "runs/run", [start(0), evaluation(0, 6.4, 20.0)])
    process = subprocess.run(
        [sys.executable, "-m", "gansearch", *words], cwd=folder, stdout=output, stderr=subprocess.PIPE, text=True
    )
    return process.returncode, process.stderr


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_closed_pipe_is_no_error(words: list[str], tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        code, said = ended(words, writer, tmp_path)
    finally:
        os.close(writer)
    assert (code, said) == (OK, "")


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_full_disk_is_one_line(words: list[str], tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        code, said = ended(words, full.fileno(), tmp_path)
    assert code == WRONG_INPUT and said.endswith("No space left on device: free some space\n") and said.count("\n") == 1
