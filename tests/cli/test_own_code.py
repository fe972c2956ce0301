"""Components of a user's own on the command line: what is wrong with them gets one line, and exit code 2."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gansearch import foreign
from gansearch.cli.search import main
from tests.cli.test_search import refused

PARTS = """
import torch
from gansearch.losses.base import Loss
from gansearch.models.dcgan import DCGAN
from gansearch.search.schedulers.base import Scheduler
from gansearch.training.artifacts.base import Artifact

class Good(Loss):
    def discriminator(self, real, fake, rng):
        return (real - 1).square().mean(), fake.square().mean()

    def generator(self, fake, real, rng):
        return (fake - 1).square().mean()

class UpsideDown(Good):
    def generator(self, fake, real, rng):
        return (fake + 1).square().mean()

class Single(Good):
    def discriminator(self, real, fake, rng):
        return real.mean()

class Raising(Good):
    def generator(self, fake, real, rng):
        raise KeyError("mine")

class Broken(DCGAN):
    def upsampler(self, inputs, shape):
        raise ValueError("my model")

class Sched(Scheduler):
    def policy(self, rungs, eta):
        raise ValueError("my policy")

class Once(Artifact):
    def files(self, snapshot):
        raise ValueError("my artifact")

class Net(torch.nn.Module):
    pass
"""

SPACE = """
from optuna.distributions import CategoricalDistribution, FloatDistribution
import gansearch as gs
RATE = FloatDistribution(1e-4, 1e-2, log=True)
LOSSES = CategoricalDistribution(["bce", "hinge"])
SPACE = gs.Space(base=gs.TrialConfig().override({{"model.features": 8}}), params={{{params}}})
"""


@pytest.fixture(autouse=True)
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The current folder has a module `parts`; nothing is permitted yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(foreign, "_permitted", set())
    Path("parts.py").write_text(PARTS)
    Path("broken.py").write_text("import no_such_package\n")
    yield
    for name in ("parts", "broken", "own"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("arguments", "hints"),
    [
        (["--set", "loss.name=broken:LSGAN"], ["loss.name=broken:LSGAN", "ModuleNotFoundError", "no_such_package"]),
        (["--set", "loss.name=nowhere:LSGAN"], ["loss.name=nowhere:LSGAN", "in this folder or installed"]),
        (["--set", "loss.name=parts:Net"], ["loss.name=parts:Net", "a class of Module", "name a subclass of"]),
        (["--set", "model.name=parts:Good"], ["model.name=parts:Good", "a class of Loss", "models.base.Model"]),
        (["--set", "data.name=parts:Good"], ["data.name=parts:Good", "data.base.Dataset"]),
        (["--set", "metrics.name=parts:"], ["metrics.name=parts:", "MODULE:NAME"]),
        (["--sampler", "parts:Good"], ["sampler.name=parts:Good", "samplers.base.Sampler"]),
        (["--sampler", "tpee"], ["sampler.name", "tpee", "tpe"]),
        (["--set", "sampler.candidate=3"], ["sampler.candidate", "sampler.candidates"]),
        (["--sampler", "optuna.samplers:GridSampler"], ["search_space is missing"]),
        (["--scheduler", "ashaa"], ["scheduler.name", "ashaa", "asha"]),
        (["--scheduler", "parts:Good"], ["scheduler.name=parts:Good", "schedulers.base.Scheduler"]),
        (["--logger", "csw"], ["logger.name", "csw", "csv"]),
        (["--logger", "csv", "--set", "logger.csv.colour=red"], ["logger.colour"]),
        (["--logger", "parts:Good"], ["logger.name=parts:Good", "loggers.base.Logger"]),
        (["--set", "artifacts.parts:Good=true"], ["artifact.name=parts:Good", "artifacts.base.Artifact"]),
        (["--set", "artifacts.smaples=false"], ["artifacts.smaples", "artifacts.samples"]),
        (["--set", "code.parts=1"], ["code.parts"]),
        (["--set", "loss.name=parts:Single"], ["loss parts:Single", "two scalar tensors"]),
        (["--set", "loss.name=parts:Raising"], ["loss parts:Raising", "KeyError", "mine"]),
        (["--set", "model.name=parts:Broken"], ["model parts:Broken", "ValueError: my model"]),
        (["--scheduler", "parts:Sched"], ["scheduler parts:Sched", "ValueError: my policy"]),
        (["--logger", "csv", "--logger", "csv"], ["csv is given twice"]),
        (["--set", "sampler.name=random"], ["--sampler NAME"]),
        (["--scheduler", "none", "--set", "scheduler.x=1"], ["scheduler.x", "--scheduler NAME"]),
        (["--set", "logger.csv.x=1"], ["logger.csv.x", "--logger NAME"]),
    ],
)
def test_a_wrong_part_is_refused(arguments: list[str], hints: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(capsys, "start", "digits", "--set", "model.features=8", *arguments)
    assert all(hint in line for hint in hints), line


@pytest.mark.parametrize(
    ("params", "hints"),
    [
        (
            '"optim.g_lr": gs.When("optim.d_lr", 1e-3, RATE), "optim.d_lr": gs.When("optim.g_lr", 1e-3, RATE)',
            ["depends on itself"],
        ),
        ('"optim.d_lr/loss.name": RATE, "loss.name": LOSSES', ["optim.d_lr/loss.name"]),
        ('"optim.d_lr/optim.g_lr": LOSSES', ["optim.d_lr/optim.g_lr"]),
        ('"loss.name": CategoricalDistribution(["hinge", "parts:Net"])', ["loss.name=parts:Net", "a class of Module"]),
        ('"loss.name": CategoricalDistribution(["hinge", "broken:X"])', ["loss.name=broken:X", "can't be imported"]),
    ],
)
def test_a_wrong_space_is_refused(params: str, hints: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    Path("own.py").write_text(SPACE.format(params=params))
    line = refused(capsys, "start", "own.py")
    assert all(hint in line for hint in hints), line


@pytest.mark.parametrize(
    "change", [{"loss": {"name": "parts:Good"}}, {"metrics": {"name": "runpy:run_path", "weights": "evil.py"}}]
)
def test_a_file_of_a_run_runs_no_code(
    change: dict[str, dict[str, str]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("evil.py").write_text("open('ran', 'w').close()\n")
    Path("config.json").write_text(json.dumps(change))
    line = refused(capsys, "trial", "config.json")
    assert "is code that a file names: read that code, then run it with --allow-code" in line
    assert not Path("ran").exists() and "parts" not in sys.modules


@pytest.mark.parametrize("command", [["start", "digits", "--dry-run"], ["doctor", "digits"], ["trial", "dcgan"]])
@pytest.mark.parametrize("line", ["loss.name: evil:X", "artifacts.evil:X: true", "data.name: evil:X"])
def test_a_file_of_options_runs_no_code(command: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("evil.py").write_text("open('ran', 'w').close()\n")
    Path("options.yaml").write_text(f"{line}\n")
    assert main([*command, "--config", "options.yaml"]) == 2
    assert "is code that a file names" in capsys.readouterr().err
    assert not Path("ran").exists()


def test_an_artifact_that_fails_is_switched_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    small = {"model.features": 8, "metrics.num_fake": 64, "train.batch": 16, "train.evaluations": 2}
    settings = [word for path, value in small.items() for word in ("--set", f"{path}={value}")]
    settings += ["--max-kimg", "0.064", "--set", "artifacts.parts:Once=true"]
    assert main(["trial", "dcgan", *settings, "--out", "out"]) == 0
    assert "artifact parts:Once is switched off: ValueError: my artifact" in caplog.text
    assert len(list((tmp_path / "out/trials/0000/samples").iterdir())) == 2


def test_check_tells_what_holds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "parts:Good"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "parts:Good (loss)" and len(out) > 5
    assert all(line.startswith("  ok    ") for line in out[1:])
    assert main(["check", "parts.py"]) == 2
    out = capsys.readouterr().out.splitlines()
    assert {"parts:Good (loss)", "parts:UpsideDown (loss)", "parts:Once (artifact)"} <= set(out)
    assert any(line.startswith("  FAIL  ") for line in out[out.index("parts:UpsideDown (loss)") :])


COMPONENTS = """
from gansearch.losses.base import Loss
from gansearch.search.loggers.csv import CSV
from gansearch.search.samplers.random import Random

class Needs(Random):
    alpha: float

class Other(Random):
    beta: float = 1.0

class Wild(CSV):
    def __post_init__(self):
        raise KeyError("mine")

class Unfinished(Loss):
    def generator(self, fake, real, rng):
        return fake.mean()
"""


def test_a_component_that_can_t_be_built_fails_alone(capsys: pytest.CaptureFixture[str]) -> None:
    Path("own.py").write_text(COMPONENTS)
    assert main(["check", "own.py"]) == 2
    out = capsys.readouterr().out.splitlines()
    needs, other, wild = (
        out.index(line) for line in ("own:Needs (sampler)", "own:Other (sampler)", "own:Wild (logger)")
    )
    assert out[needs + 1 : other] == [
        "  FAIL  It can be built. sampler.alpha is missing: give it with --set sampler.alpha=VALUE"
    ]
    assert len(out[other + 1 : wild]) > 1 and all(line.startswith("  ok    ") for line in out[other + 1 : wild])
    assert out[wild + 1 :] == ["  FAIL  It can be built. logger.name=own:Wild can't be built: KeyError: 'mine'"]


def test_an_option_goes_to_the_components_that_have_it(capsys: pytest.CaptureFixture[str]) -> None:
    Path("own.py").write_text(COMPONENTS.replace("class Wild(CSV)", "class Wild"))
    assert main(["check", "own.py", "--set", "sampler.alpha=0.5"]) == 0
    assert "FAIL" not in capsys.readouterr().out
    assert "did you mean sampler.alpha" in refused(capsys, "check", "own.py", "--set", "sampler.alhpa=0.5")


@pytest.mark.parametrize(
    ("arguments", "hints"),
    [
        (["nowhere.py"], ["check: nowhere.py", "no such file"]),
        (["./"], ["check: ./ is no Python file"]),
        (["broken.py"], ["check: broken.py", "no_such_package"]),
        (["own:Unfinished"], ["own:Unfinished is an unfinished Loss: define discriminator"]),
        (["parts:Net"], ["parts:Net is no component", "Loss"]),
        (["parts:Nothing"], ["parts:Nothing", "can't be imported"]),
        (["hinge"], ["hinge", "MODULE:NAME"]),
        (["parts:Good", "--set", "lss.x=1"], ["lss", "loss"]),
        (["parts:Good", "--set", "loss.x=1"], ["loss.x"]),
    ],
)
def test_a_wrong_target_is_refused(arguments: list[str], hints: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    Path("own.py").write_text(COMPONENTS)
    line = refused(capsys, "check", *arguments)
    assert all(hint in line for hint in hints), line
