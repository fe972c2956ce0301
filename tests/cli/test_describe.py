"""`trial --describe`: a recipe or a configuration as a text, without data and without a run."""

from pathlib import Path

import pytest

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


def test_a_description_has_no_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trial", "dcgan", "--describe", "--out", "there"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "leave --out away" in line
