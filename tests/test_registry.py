"""Names to classes: found in their folders, their options checked and written out."""

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import gansearch.losses
from gansearch import registry
from gansearch.cli.search import main
from gansearch.config import Component, TrialConfig, from_json
from gansearch.errors import UserError
from gansearch.logs import warn_once
from gansearch.registry import SECTIONS, Kind
from gansearch.search.find_space import find_space

NAMES = [(kind, name) for kind in SECTIONS for name in registry.classes(kind)]

LEAST_SQUARES = """
from gansearch.losses.base import Loss
from gansearch.registry import component


@component
class LeastSquares(Loss):
    target: float = 1.0

    def discriminator(self, real, fake, rng):
        return (real - self.target).square().mean(), fake.square().mean()

    def generator(self, fake, real, rng):
        return (fake - self.target).square().mean()
"""


def chosen(kind: Kind, name: str) -> TrialConfig:
    required = {"image_folder": {"data.dir": "images"}}.get(name, {})
    return TrialConfig().override({f"{kind}.name": name, **required})


def forget() -> None:
    registry.classes.cache_clear()
    registry._own.cache_clear()
    registry._installed.cache_clear()


@pytest.fixture
def losses_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose files count as files of `gansearch/losses`."""
    before = set(sys.modules)
    monkeypatch.setattr(gansearch.losses, "__path__", [*gansearch.losses.__path__, str(tmp_path)])
    forget()
    yield tmp_path
    forget()
    for name in set(sys.modules) - before:
        del sys.modules[name]
    for path in tmp_path.glob("*.py"):
        vars(gansearch.losses).pop(path.stem, None)


def test_the_known_components_are_found() -> None:
    assert {"bce", "hinge", "lsgan", "relativistic", "wgan", "wgan-gp"} <= set(registry.classes("loss"))
    assert "dcgan" in registry.classes("model")
    assert {"digits", "cifar10", "image_folder"} <= set(registry.classes("data"))
    assert {"digits-classifier", "inception-v3-compat"} <= set(registry.classes("metrics"))


@pytest.mark.parametrize(("kind", "name"), NAMES)
def test_resolving_writes_out_every_option_once(kind: Kind, name: str) -> None:
    config = chosen(kind, name)
    resolved = registry.resolve(config)
    flat = resolved.flat()
    for each in SECTIONS:
        component = registry.build(each, getattr(resolved, each))
        for field in fields(component):
            assert flat[f"{each}.{field.name}"] == getattr(component, field.name)
    assert {path: flat[path] for path in config.flat()} == config.flat()
    assert registry.resolve(resolved) == resolved
    assert from_json(resolved.to_json()) == resolved  # which validates all of it


@pytest.mark.parametrize(("kind", "name"), NAMES)
def test_a_misspelt_name_or_option_is_refused_with_the_nearest(kind: Kind, name: str) -> None:
    with pytest.raises(UserError, match=rf"^unknown {kind}\.name '{name}x'; did you mean .*{name}") as caught:
        registry.resolve(chosen(kind, name).override({f"{kind}.name": f"{name}x"}))
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match=rf"^unknown option of {name} '{kind}\.no_such'; \S") as caught:
        registry.resolve(chosen(kind, name).override({f"{kind}.no_such": 1}))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss.name": "wgan", "loss.clp": 1}, r"unknown option of wgan 'loss\.clp'; did you mean loss\.clip"),
        ({"loss.name": "wgan", "loss.clip": -1}, r"loss\.clip=-1: .*greater than 0"),
        ({"loss.name": "wgan", "loss.clip": float("nan")}, r"loss\.clip=nan: .*finite"),
        ({"model.attention_at": 12}, r"model\.attention_at=12: .*'none', 8, 16 or 32"),
        ({"model.features": 7, "model.leaky_slope": 1}, r"model\.features=7: .*; model\.leaky_slope=1: "),
        ({"data.resolution": 4}, r"data\.resolution=4: .*8"),
        ({"data.name": "image_folder"}, r"data\.dir is missing: give it with --set data\.dir=VALUE"),
    ],
)
def test_a_wrong_value_is_named_by_its_path(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        registry.resolve(TrialConfig().override(changes))
    assert "\n" not in str(caught.value)


def test_one_new_file_is_a_new_loss(losses_folder: Path) -> None:
    assert "least-squares" not in registry.classes("loss")
    (losses_folder / "least_squares.py").write_text(LEAST_SQUARES)
    forget()
    config = registry.resolve(TrialConfig().override({"loss.name": "least-squares"}))
    assert config.loss.options == {"class_weight": 1.0, "target": 1.0}
    with pytest.raises(UserError, match=r"loss\.target=x"):
        registry.resolve(config.override({"loss.target": "x"}))


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """A function that installs a package with a module `plugin_NAME` and entry points."""

    def install(package: str, *lines: str, source: str = LEAST_SQUARES) -> None:
        (tmp_path / f"plugin_{package}.py").write_text(source)
        info = tmp_path / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("\n".join(lines))
        forget()

    monkeypatch.syspath_prepend(str(tmp_path))
    yield install
    forget()
    for name in [name for name in sys.modules if name.startswith("plugin_")]:
        del sys.modules[name]


def test_an_entry_point_of_an_installed_package_is_a_name(
    plugins: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    plugins("one", "[gansearch.losses]", "ls = plugin_one:LeastSquares", "[gansearch.models]", "net = plugin_one:Net")
    assert "ls" in registry.classes("loss")
    config = registry.resolve(TrialConfig().override({"loss.name": "ls"}))
    assert config.loss.options == {"class_weight": 1.0, "target": 1.0}
    assert config.code["plugin_one"].sha256
    with pytest.raises(UserError, match=r"unknown loss\.name 'lss'; did you mean ls"):
        registry.resolve(TrialConfig().override({"loss.name": "lss"}))
    message = r"model\.name=net: plugin_one:Net of an installed package can't be imported \(.*no attribute 'Net'"
    with pytest.raises(UserError, match=f"^{message}"):
        registry.resolve(TrialConfig().override({"model.name": "net"}))
    fails = "\n    def __post_init__(self):\n        1 / 0\n"
    plugins("two", "[gansearch.losses]", "zero = plugin_two:LeastSquares", source=LEAST_SQUARES + fails)
    with pytest.raises(UserError, match=r"^loss\.name=zero can't be built: ZeroDivisionError: division by zero$"):
        registry.resolve(TrialConfig().override({"loss.name": "zero"}))
    warn_once.cache_clear()
    assert {"dcgan", "net"} - registry.classes("model").keys() == {"net"}
    assert re.search(f"left out: {message}", caplog.text)


def test_a_space_of_an_installed_package_is_a_name_unless_it_is_taken(
    plugins: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    source = "import gansearch as gs\nSPACE = gs.Space(params={}, trials=3)\n"
    plugins("three", "[gansearch.spaces]", "mine = plugin_three:SPACE", "digits = plugin_three:SPACE", source=source)
    assert find_space("mine").trials == 3
    assert main(["spaces"]) == 0
    assert re.search(r"^mine +0 +3 +- +plugin_three:SPACE$", capsys.readouterr().out, re.MULTILINE)
    with pytest.raises(
        UserError, match=r"^space digits is taken twice, by .*digits\.py and by plugin_three:SPACE of an"
    ):
        find_space("digits")


def test_a_name_that_is_taken_twice_is_refused(plugins: Callable[..., None]) -> None:
    plugins("one", "[gansearch.losses]", "hinge = plugin_one:LeastSquares")
    message = r"^loss\.name=hinge is taken twice, by gansearch and by plugin_one:LeastSquares of an installed package"
    with pytest.raises(UserError, match=message):
        registry.resolve(TrialConfig().override({"loss.name": "hinge"}))
    assert registry.resolve(TrialConfig().override({"loss.name": "bce"})).loss.name == "bce"
    plugins("two", "[gansearch.losses]", "hinge = plugin_two:LeastSquares")
    with pytest.raises(UserError, match=r"is taken twice, by plugin_.*:LeastSquares and plugin_.*:LeastSquares of i"):
        registry.resolve(TrialConfig().override({"loss.name": "bce"}))


ONE_FILE: dict[Kind, str] = {
    "model": "from gansearch.models.mlp import MLP as Base",
    "data": "from gansearch.data.digits import Digits as Base",
    "metrics": "from gansearch.metrics.extractors.digits_classifier import DigitsClassifier as Base",
    "sampler": "from gansearch.search.samplers.random import Random as Base",
    "scheduler": "from gansearch.search.schedulers.asha import ASHA as Base",
    "logger": "from gansearch.search.loggers.csv import CSV as Base",
    "artifact": "from gansearch.training.artifacts.curves import Curves as Base",
    "plot": "from gansearch.analysis.plots.curves import Curves as Base",
}


@pytest.mark.parametrize("kind", ONE_FILE)
def test_one_new_file_is_a_new_component_of_any_kind(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = importlib.import_module(registry._FOLDERS[kind].package)
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    (tmp_path / "novel.py").write_text(f"{ONE_FILE[kind]}\n\n\nclass Novel(Base):\n    pass\n")
    forget()
    try:
        assert "novel" in registry.classes(kind)
        assert registry.build(kind, Component(name="novel")) is not None
    finally:
        forget()
        vars(package).pop("novel", None)
        sys.modules.pop(f"{package.__name__}.novel", None)


def test_a_file_holds_one_component(losses_folder: Path) -> None:
    (losses_folder / "pair.py").write_text(LEAST_SQUARES + "\n\n@component\nclass Twin(LeastSquares):\n    pass\n")
    with pytest.raises(TypeError, match=r"gansearch\.losses\.pair holds 2 components"):
        registry.classes("loss")
