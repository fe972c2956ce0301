"""The commands that messages print begin with what the user has typed, and run as they are."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gansearch
from gansearch.program import command, typed_program, typed_words

from .analysis.synthetic_run import make_run, start

ROOT = Path(gansearch.__file__).parent.parent
SEARCH, ANALYZE = str(ROOT / "run_search.py"), str(ROOT / "analyze.py")


@pytest.mark.parametrize(
    ("interpreter", "script", "typed", "whole"),
    [
        ("python", SEARCH, ["python", SEARCH], ["python", SEARCH]),
        (".venv/bin/python3", ANALYZE, [".venv/bin/python3", ANALYZE], [".venv/bin/python3", SEARCH]),
        ("python", str(ROOT / "gansearch/__main__.py"), ["python", "-m", "gansearch"], ["python", "-m", "gansearch"]),
        ("python", "env/bin/gansearch", ["env/bin/gansearch"], ["env/bin/gansearch"]),
        ("python", "env/bin/gansearch-analyze", ["env/bin/gansearch-analyze"], ["env/bin/gansearch"]),
        ("python", "a user's/analyze.py", ["gansearch"], ["gansearch"]),
        ("python", "ipykernel_launcher.py", ["gansearch"], ["gansearch"]),
        ("python", "-c", ["gansearch"], ["gansearch"]),
    ],
)
def test_the_program_is_what_was_typed_and_the_library_has_the_installed_one(
    interpreter: str, script: str, typed: list[str], whole: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [script, "rank", "run"])
    monkeypatch.setattr(sys, "orig_argv", [interpreter, script, "rank", "run"])
    assert typed_words() == typed
    assert typed_program() == shlex.join(typed)
    assert shlex.split(command("status", Path("a run"))) == [*whole, "status", "a run"]


def test_a_program_that_was_found_on_the_path_is_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "gansearch"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "argv", [str(program)])
    monkeypatch.setenv("PATH", str(tmp_path))
    assert typed_words() == ["gansearch"]
    monkeypatch.setenv("PATH", "/nowhere")
    assert typed_words() == [str(program)]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))))
def test_a_shell_reads_back_the_words(words: list[str]) -> None:
    assert shlex.split(command(*words))[-len(words) :] == words or not words


@pytest.mark.parametrize(
    ("program", "whole"),
    [
        ([SEARCH], [SEARCH]),
        ([os.path.relpath(ANALYZE)], [os.path.relpath(SEARCH)]),
        (["-m", "gansearch"], ["-m", "gansearch"]),
    ],
)
def test_what_is_printed_can_be_pasted(program: list[str], whole: list[str], tmp_path: Path) -> None:
    """A run without a FID is named with the command that gives the reasons."""
    run = make_run(tmp_path / "a run", [start(0)])
    typed = [sys.executable, *program, "rank", str(run.path)]
    done = subprocess.run(typed, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    pasted = line.split("`")[1]
    assert shlex.split(pasted) == [sys.executable, *whole, "status", str(run.path)]
    shown = subprocess.run(pasted, shell=True, capture_output=True, text=True, check=False)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "0 of 16 trials ended" in shown.stdout
