"""`trial --describe`: a recipe or a configuration as a text, without data and without a run."""

import sys
from pathlib import Path

import pytest
from rich.text import Text

from gansearch.cli.search import main
from gansearch.recipes import RECIPES


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANSEARCH_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_described_and_nothing_is_written(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["trial", name, "--describe"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 120
    assert [line.split()[0] for line in lines if line.startswith(("z ", "labels ", "loss ", "optimiser "))] == [
        "z",
        "labels",
        "loss",
        "optimiser",
    ]
    assert sum(" parameters, " in line for line in lines) == 2
    assert list(tmp_path.iterdir()) == []


def test_options_change_what_is_described(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--set", "data.name=image_folder", "--data-dir", "photos", "--set", "model.attention_at=8"]
    assert main(["trial", "dcgan", "--describe", *options]) == 0
    out = capsys.readouterr().out
    assert "image_folder: 3 x 32 x 32, 10 classes (assumed: the data set is not read)" in out
    assert out.count("SelfAttention") == 2


def test_a_narrow_terminal_has_the_shapes_and_the_counts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    assert main(["trial", "sagan-wgan-gp", "--describe"]) == 0
    lines = Text.from_ansi(capsys.readouterr().out).plain.splitlines()
    assert max(map(len, lines)) <= 40
    assert [line.split() for line in lines if line.startswith("module")] == 2 * [["module", "output", "parameters"]]


def test_a_description_has_no_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trial", "dcgan", "--describe", "--out", "there"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "leave --out away" in line
