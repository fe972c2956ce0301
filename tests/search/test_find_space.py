"""From a name and `--set` to the space that is searched."""

import re
from pathlib import Path
from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from gansearch.config import TrialConfig
from gansearch.errors import UserError
from gansearch.logs import warn_once
from gansearch.registry import resolve
from gansearch.run.space import Parameter, Space, When
from gansearch.search.feasibility import check_space
from gansearch.search.find_space import configure, find_space, parse_settings, space_files

SOURCE = """
from gansearch.config import TrialConfig
from gansearch.run.space import Space
SPACE = Space(base=TrialConfig(), params={{}}, trials={trials})
"""
CLIP = FloatDistribution(0.005, 0.1)
SPACE = Space(
    base=TrialConfig(),
    params={
        "optim.g_lr": FloatDistribution(1e-4, 1e-2, log=True),
        "loss.name": CategoricalDistribution(["bce", "wgan", "wgan-gp"]),
        "loss.clip": When("loss.name", "wgan", FloatDistribution(0.005, 0.1)),
        "loss.penalty_weight": When("loss.name", "wgan-gp", FloatDistribution(1, 20)),
    },
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "search_spaces").mkdir()
    return tmp_path


def test_a_space_is_found_by_name_and_by_path(here: Path) -> None:
    assert find_space("digits").trials == 32
    (here / "search_spaces" / "mine.py").write_text(SOURCE.format(trials=5))
    (here / "search_spaces" / "_hidden.py").write_text("")
    (here / "other.py").write_text(SOURCE.format(trials=6))
    assert {"digits", "mine"} <= set(space_files()) and "_hidden" not in space_files()
    assert find_space("mine").trials == find_space("search_spaces/mine.py").trials == 5
    assert find_space("other.py").trials == find_space(str(here / "other.py")).trials == 6


def test_a_space_of_one_s_own_goes_before_the_package_s(here: Path) -> None:
    (here / "search_spaces" / "digits.py").write_text(SOURCE.format(trials=7))
    assert find_space("digits").trials == 7


def test_an_unknown_space_is_refused(here: Path) -> None:
    with pytest.raises(UserError, match="unknown space 'digist'; did you mean digits"):
        find_space("digist")
    with pytest.raises(UserError, match=r"space nowhere\.py: there is no such file"):
        find_space("nowhere.py")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("SPACE = {}", r"defines no SPACE = Space\(\.\.\.\)"),
        ("", r"defines no SPACE = Space\(\.\.\.\)"),
        ("SPACE = (", "SyntaxError"),
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("from gansearch.config import TrialConfig\nTrialConfig(sed=1)", "TrialConfig: there is no option sed"),
        (SOURCE.format(trials=0), "trials=0"),
    ],
)
def test_a_file_that_holds_no_space_is_named(here: Path, source: str, said: str) -> None:
    (here / "broken.py").write_text(source)
    with pytest.raises(UserError, match=rf"^space broken\.py:? .*{said}") as caught:
        find_space("broken.py")
    assert "\n" not in str(caught.value)


def test_settings_are_json_where_they_can_be(here: Path) -> None:
    texts = ["a.b=1e-3", "a.c=true", "a.d=none", "a.e=null", "a.f=x=y", 'a.g="1"', "a.h="]
    values = [1e-3, True, "none", None, "x=y", "1", ""]
    assert list(parse_settings(texts, None).values()) == values
    assert parse_settings(["a.b=1", "a.b=2"], None) == {"a.b": 2}
    found = parse_settings(["metrics.weights=w.pth", "metrics.statistics=s.npz"], "images")
    files = {"metrics.weights": str(here / "w.pth"), "metrics.statistics": str(here / "s.npz")}
    assert found == {**files, "data.dir": str(here / "images")}
    with pytest.raises(UserError, match=r"--set optim\.g_lr: write path\.to\.option=value"):
        parse_settings(["optim.g_lr"], None)
    with pytest.raises(UserError, match=r"--data-dir and --set data\.dir set one option: give one"):
        parse_settings(["data.dir=there"], "images")


@pytest.mark.parametrize(
    ("changes", "searched"),
    [
        ({}, {"optim.g_lr", "loss.name", "loss.clip", "loss.penalty_weight"}),
        ({"optim.g_lr": 1e-3}, {"loss.name", "loss.clip", "loss.penalty_weight"}),
        ({"loss.name": "bce"}, {"optim.g_lr"}),
        ({"loss.name": "wgan"}, {"optim.g_lr", "loss.clip"}),
        ({"loss.name": "wgan", "loss.clip": 0.02}, {"optim.g_lr"}),
        ({"optim.d_steps": 2}, {"optim.g_lr", "loss.name", "loss.clip", "loss.penalty_weight"}),
    ],
)
def test_what_is_set_is_searched_no_more(changes: dict[str, Any], searched: set[str]) -> None:
    space = configure(SPACE, changes, None)
    assert set(space.params) == searched
    assert {path: space.base.flat()[path] for path in changes} == changes
    if changes.get("loss.name"):
        assert all(parameter.when is None for parameter in space.params.values())
    check_space(space)


def test_a_setting_that_does_not_fit_is_refused() -> None:
    with pytest.raises(UserError, match=r"optim\.g_lr=0\.5 is outside the space's domain, 0\.0001 to 0\.01"):
        configure(SPACE, {"optim.g_lr": 0.5}, None)
    with pytest.raises(UserError, match=r"unknown option 'optim\.d_stesp'; did you mean optim\.d_steps"):
        configure(SPACE, {"optim.d_stesp": 2}, None)


def test_a_component_that_the_space_does_not_search_can_be_set() -> None:
    space = configure(SPACE, {"loss.name": "mine:LSGAN"}, None)
    assert space.base.loss.name == "mine:LSGAN"
    assert not [path for path in space.params if path.startswith("loss.")]


def test_a_length_is_brought_to_whole_evaluations() -> None:
    assert configure(SPACE, {}, 5.0).base.train.max_kimg == 5.184
    assert (
        configure(SPACE, {"train.batch": 32, "train.evaluations": 2, "train.max_kimg": 6.4}, None).base.train.batch
        == 32
    )


def test_a_conditional_parameter_is_fixed_where_it_applies() -> None:
    space = configure(find_space("digits"), {"loss.clip": 0.05}, None)
    check_space(space)
    fixed = When("loss.name", "wgan", FloatDistribution(0.05, 0.05, log=True))
    assert space.params["loss.clip"] == Parameter.model_validate(fixed)
    assert "clip" not in space.base.loss.options
    with pytest.raises(UserError, match=r"loss\.clip=9"):
        configure(find_space("digits"), {"loss.clip": 9}, None)


RATIO = "optim.d_lr/optim.g_lr"
DEEP = Space(
    base=TrialConfig(),
    params={
        "optim.d_lr/train.ema_kimg": When("loss.name", among=["bce", "wgan"], domain=FloatDistribution(1e-4, 1e-2)),
        "train.ema_kimg": When("replay.every", among=[2, 4], domain=FloatDistribution(0.5, 2)),
        "replay.every": When("optim.d_steps", among=[2, 3], domain=CategoricalDistribution([0, 2, 4])),
        "optim.d_steps": When("loss.name", among=["wgan", "wgan-gp"], domain=IntDistribution(1, 3)),
        "loss.name": CategoricalDistribution(["bce", "wgan", "wgan-gp"]),
    },
)


@pytest.mark.parametrize(
    ("changes", "searched"),
    [
        ({"loss.name": "bce"}, {}),
        ({"loss.name": "wgan", "optim.d_steps": 1}, {}),
        (
            {"loss.name": "wgan", "optim.d_steps": 2},
            {
                "replay.every": None,
                "train.ema_kimg": "replay.every=2 or 4",
                "optim.d_lr/train.ema_kimg": None,
            },
        ),
        (
            {"replay.every": 4},  # which some trials have, so it stays a parameter
            {
                "loss.name": None,
                "optim.d_steps": "loss.name=wgan or wgan-gp",
                "replay.every": "optim.d_steps=2 or 3",
                "train.ema_kimg": "replay.every=4",
                "optim.d_lr/train.ema_kimg": "loss.name=bce or wgan",
            },
        ),
        (
            {"replay.every": 0},
            {
                "loss.name": None,
                "optim.d_steps": "loss.name=wgan or wgan-gp",
                "replay.every": "optim.d_steps=2 or 3",
            },
        ),
        (
            {"optim.d_lr": 1e-3},
            {
                "loss.name": None,
                "optim.d_steps": "loss.name=wgan or wgan-gp",
                "replay.every": "optim.d_steps=2 or 3",
                "train.ema_kimg": "replay.every=2 or 4",
            },
        ),
    ],
)
def test_conditions_are_decided_to_any_depth(changes: dict[str, Any], searched: dict[str, str | None]) -> None:
    space = configure(DEEP, changes, None)
    found = {path: str(parameter.when) if parameter.when else None for path, parameter in space.params.items()}
    assert found == searched
    assert list(space.params) == [path for path in DEEP.params if path in searched]
    check_space(space)


def test_a_set_option_leaves_its_ratio() -> None:
    ratios = Space(
        base=TrialConfig(),
        params={RATIO: FloatDistribution(0.5, 4), "optim.g_lr": FloatDistribution(1e-4, 1e-2, log=True)},
    )
    space = configure(ratios, {"optim.g_lr": 1e-3}, None)
    assert set(space.params) == {RATIO}
    assert space.config({RATIO: 2.0}, 0, resolve=resolve).optim.d_lr == 2e-3
    space = configure(ratios, {"optim.d_lr": 1e-3}, None)
    assert set(space.params) == {"optim.g_lr"} and space.base.optim.d_lr == 1e-3
    space = configure(ratios, {RATIO: 2}, None)
    assert set(space.params) == {RATIO, "optim.g_lr"} and space.params[RATIO].domain.is_single
    assert space.config({RATIO: 2.0, "optim.g_lr": 1e-4}, 0, resolve=resolve).optim.d_lr == 2e-4
    with pytest.raises(UserError, match=r"optim\.d_lr/optim\.g_lr=5 is outside the space's domain, 0\.5 to 4"):
        configure(ratios, {RATIO: 5}, None)
    with pytest.raises(UserError, match=r"unknown option 'optim\.d_lr/optim\.g_lr'"):
        configure(SPACE, {RATIO: 2}, None)


CLAUSE = {"model.spectral_norm": True, "loss.name": ["wgan", "wgan-gp"]}
FORBIDDEN = Space(
    base=TrialConfig(),
    params={
        "loss.name": CategoricalDistribution(["bce", "hinge", "wgan", "wgan-gp"]),
        "model.name": CategoricalDistribution(["dcgan", "mlp"]),
        "model.spectral_norm": When("model.name", "dcgan", CategoricalDistribution([False, True])),
    },
    baselines=["dcgan", "sngan"],
    forbidden=[CLAUSE],
)


@pytest.mark.parametrize(
    ("changes", "forbidden"),
    [
        ({"optim.d_steps": 2}, [CLAUSE]),
        ({"loss.name": "bce"}, []),
        ({"model.name": "mlp"}, []),
        ({"model.spectral_norm": False}, []),
        ({"model.spectral_norm": True}, [CLAUSE]),
        ({"loss.name": "hinge", "model.spectral_norm": True}, []),
        ({"loss.name": "wgan"}, [{"model.spectral_norm": True}]),
        ({"model.name": "dcgan", "model.spectral_norm": True}, [{"loss.name": ["wgan", "wgan-gp"]}]),
    ],
)
def test_what_is_forbidden_is_decided_too(changes: dict[str, Any], forbidden: list[Any]) -> None:
    space = configure(FORBIDDEN, changes, None)
    assert space.forbidden == FORBIDDEN.replaced(forbidden=forbidden).forbidden
    check_space(space)


def test_forbidden_settings_are_refused() -> None:
    with pytest.raises(UserError, match=r"forbidden in this space: model\.spectral_norm=true, loss\.name=wgan"):
        configure(FORBIDDEN, {"model.name": "dcgan", "model.spectral_norm": True, "loss.name": "wgan"}, None)


def test_an_option_of_the_base_s_component_forbids_nothing_in_another() -> None:
    params = {"loss.name": FORBIDDEN.params["loss.name"]}
    space = FORBIDDEN.replaced(params=params, forbidden=[{"model.spectral_norm": False, "loss.name": "wgan"}])
    assert configure(space, {"model.name": "dcgan"}, None).forbidden == space.forbidden
    assert configure(space, {"model.name": "resnet"}, None).forbidden == ()
    assert configure(space, {"model.spectral_norm": True}, None).forbidden == ()


@pytest.mark.parametrize(
    ("changes", "left", "said"),
    [
        ({"loss.name": "wgan"}, ["dcgan"], "baseline sngan is left out: with these settings it is forbidden, by model"),
        ({"model.name": "mlp", "loss.name": "bce"}, ["dcgan"], "baseline sngan is left out: .* it equals dcgan"),
    ],
)
def test_a_baseline_that_a_setting_takes_away_is_left_out(
    changes: dict[str, Any], left: list[str], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    warn_once.cache_clear()
    assert list(configure(FORBIDDEN, changes, None).baselines) == left
    assert re.search(said, caplog.text)


@pytest.mark.parametrize(
    "fields",
    [
        {"params": {**SPACE.params, "loss.clip": When("loss.name", among=["wgan", "nope"], domain=CLIP)}},
        {"params": {**SPACE.params, "loss.clip": When("optim.g_lr", 5, CLIP)}},
        {"forbidden": [{"loss.name": ["wgan", "nope"], "optim.d_steps": 1}]},
    ],
)
def test_a_value_outside_a_domain_is_refused_and_not_left_out(fields: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"=(nope|5).* a value that \S+ never has in this space"):
        configure(SPACE.replaced(**fields), {}, None)
