"""`spaces`: the shipped spaces and those of this folder, and the parameters of one."""

from pathlib import Path

import pytest

from gansearch.cli.search import main

MINE = '''"""A space of my own.

It has more to say.
"""
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from gansearch.config import TrialConfig
from gansearch.run import Space, When
SPACE = Space(
    base=TrialConfig(),
    params={
        "optim.g_lr": FloatDistribution(1e-4, 1e-2, log=True),
        "optim.d_steps": IntDistribution(1, 9, step=2),
        "model.spectral_norm": CategoricalDistribution([False, True]),
        "loss.name": CategoricalDistribution(["bce", "wgan"]),
        "loss.clip": When("loss.name", "wgan", FloatDistribution(0.01, 0.1)),
    },
    baselines=["dcgan"],
    trials=7,
    forbidden=[{"model.spectral_norm": True, "loss.name": ["wgan"]}],
)
'''


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "search_spaces").mkdir()
    (tmp_path / "search_spaces/mine.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_space_is_a_line_and_a_broken_one_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "search_spaces/broken.py").write_text("SPACE = (")
    assert main(["spaces"]) == 0
    lines = capsys.readouterr().out.splitlines()
    names = [line.split()[0] for line in lines]
    assert {"digits", "sagan32", "mine", "broken"} <= set(names)
    assert lines[names.index("mine")].split(maxsplit=4) == ["mine", "5", "7", "dcgan", "A space of my own."]
    assert lines[names.index("broken")].split() == ["broken", "-", "-", "-"]
    assert "SyntaxError" in lines[-1]


@pytest.mark.parametrize("name", ["mine", "search_spaces/mine.py"])
def test_the_parameters_of_one_space(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spaces", name]) == 0
    found = [line.split("  ") for line in capsys.readouterr().out.splitlines()]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in found]
    assert cells == [
        ["parameter", "domain", "applies when"],
        ["optim.g_lr", "0.0001 to 0.01, log", "-"],
        ["optim.d_steps", "1 to 9, whole, step 2", "-"],
        ["model.spectral_norm", "false | true", "-"],
        ["loss.name", "bce | wgan", "-"],
        ["loss.clip", "0.01 to 0.1", "loss.name=wgan"],
        ["forbidden: model.spectral_norm=true, loss.name=wgan"],
        ["7 trials; baselines: dcgan"],
    ]


def test_an_unknown_space_gets_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spaces", "mien"]) == 2
    assert "did you mean mine" in capsys.readouterr().err
