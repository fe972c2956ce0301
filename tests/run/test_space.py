"""Spaces as data: which parameters apply, what is forbidden, what a ratio is, and what is no space."""

import warnings
from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from pydantic import ValidationError

from gansearch.config import TrialConfig
from gansearch.errors import UserError
from gansearch.registry import resolve
from gansearch.run import Space, When
from gansearch.run.space import faults

RATE = FloatDistribution(1e-4, 1e-2, log=True)
LOSS = CategoricalDistribution(["bce", "wgan"])
CLIP = When("loss.name", "wgan", FloatDistribution(0.01, 0.1))


def space_of(params: dict[str, Any], **fields: Any) -> Space:
    return Space(**{"base": TrialConfig(), "params": params, **fields})


def test_a_space_survives_json() -> None:
    space = space_of(
        {
            "optim.g_lr": RATE,
            "optim.beta1": FloatDistribution(0.0, 0.9, step=0.3),
            "optim.d_steps": IntDistribution(1, 5, step=2),
            "model.features": IntDistribution(8, 64, log=True),
            "model.spectral_norm": CategoricalDistribution([False, True]),
            "model.attention_at": CategoricalDistribution(["none", 8, 16, None, 0.5]),
            "loss.clip": CLIP,
            "loss.name": LOSS,
            "optim.d_lr/optim.g_lr": FloatDistribution(0.25, 4.0),
        },
        baselines=["dcgan"],
        trials=7,
        forbidden=[{"loss.name": "wgan", "model.spectral_norm": True}],
    )
    again = Space.model_validate_json(space.model_dump_json())
    assert again == space and (again.baselines, again.trials) == (("dcgan",), 7)
    choices = again.params["model.attention_at"].domain.choices
    assert [(value, type(value)) for value in choices] == [(value, type(value)) for value in ("none", 8, 16, None, 0.5)]
    assert [type(value) for value in again.params["model.spectral_norm"].domain.choices] == [bool, bool]
    assert str(again.params["loss.clip"].when) == "loss.name=wgan"
    dependent = ["loss.clip", "optim.d_lr/optim.g_lr"]
    assert again.ordered == [*(path for path in space.params if path not in dependent), *dependent]


def test_only_parameters_whose_condition_holds_are_active() -> None:
    space = space_of({"loss.clip": CLIP, "loss.name": LOSS, "optim.g_lr": RATE})
    values = {"loss.clip": 0.05, "optim.g_lr": 1e-3, "loss.name": "wgan", "other.option": 1}
    assert list(space.active(values).items()) == [("loss.clip", 0.05), ("loss.name", "wgan"), ("optim.g_lr", 1e-3)]
    assert space.active(values | {"loss.name": "bce"}) == {"loss.name": "bce", "optim.g_lr": 1e-3}


def test_a_condition_on_what_does_not_apply_does_not_hold() -> None:
    nested = {"optim.beta1": When("loss.clip", 0.05, FloatDistribution(0.0, 0.9))}
    space = space_of({"loss.name": LOSS, "loss.clip": CLIP, **nested})
    values = {"loss.name": "wgan", "loss.clip": 0.05, "optim.beta1": 0.5}
    assert space.active(values) == values
    assert space.active(values | {"loss.name": "bce"}) == {"loss.name": "bce"}
    assert space_of(nested).active(values) == {}  # nor one on what is not searched


def test_the_configuration_of_a_trial_is_resolved_once() -> None:
    calls: list[TrialConfig] = []

    def resolve(config: TrialConfig) -> TrialConfig:
        calls.append(config)
        return config.override({"train.batch": 32})

    config = space_of({"optim.g_lr": RATE}).config({"optim.g_lr": 1e-3}, 7, resolve=resolve)
    assert (config.optim.g_lr, config.seed, config.train.batch, len(calls)) == (1e-3, 7, 32, 1)
    assert config == calls[0].override({"train.batch": 32})
    with pytest.raises(UserError, match=r"optim\.g_lr=-1"):
        space_of({}).config({"optim.g_lr": -1}, 0, resolve=resolve)


def test_a_replaced_space_is_validated_again() -> None:
    space = space_of({"optim.g_lr": RATE})
    assert space.replaced(params={}).params == {} and space.replaced(trials=3).trials == 3
    with pytest.raises(ValidationError, match="trials"):
        space.replaced(trials=0)
    with pytest.raises(ValidationError, match="colour"):
        space.replaced(colour="red")


def test_a_condition_may_name_several_values() -> None:
    domain = FloatDistribution(1.0, 20.0)
    space = space_of({"loss.name": LOSS, "optim.beta1": When("loss.name", among=["wgan", "bce"], domain=domain)})
    assert str(space.params["optim.beta1"].when) == "loss.name=wgan or bce"
    assert [space.applies("optim.beta1", {"loss.name": name}) for name in ("bce", "wgan", "hinge")] == [
        True,
        True,
        False,
    ]
    assert When("loss.name", "wgan", domain).condition == When("loss.name", among=("wgan",), domain=domain).condition


def test_a_value_is_not_taken_for_another_that_python_calls_equal() -> None:
    space = space_of(
        {
            "replay.every": CategoricalDistribution([0, 1]),
            "model.spectral_norm": CategoricalDistribution([False, True]),
            "optim.beta1": When("replay.every", True, RATE),
            "optim.beta2": When("model.spectral_norm", None, RATE),
        },
        forbidden=[{"model.spectral_norm": 1}],
    )
    assert not space.applies("optim.beta1", {"replay.every": 1})
    assert not space.applies("optim.beta2", {})  # a value that is missing is not None
    assert space.violated({"model.spectral_norm": True}) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"domain": RATE}, "give either equals=VALUE or among="),
        ({"equals": "wgan", "among": ["wgan"], "domain": RATE}, "give either equals=VALUE or among="),
        ({"equals": "wgan"}, "give domain="),
        ({"among": "wgan", "domain": RATE}, r"put the values in a list, among=\['wgan'\]"),
    ],
)
def test_a_condition_that_is_not_complete_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=rf"When\('loss\.name', \.\.\.\): {message}") as caught:
        When("loss.name", **arguments)
    assert "\n" not in str(caught.value)


def test_conditions_are_those_of_all_ancestors() -> None:
    space = space_of(DEEP)
    assert [str(when) for when in space.conditions("optim.beta1")] == [
        "optim.d_steps=2",
        "loss.clip=0.05",
        "loss.name=wgan",
    ]
    assert space.conditions("loss.name") == []
    assert space.ordered == ["loss.name", "loss.clip", "optim.d_steps", "optim.beta1"]


DEEP = {
    "optim.beta1": When("optim.d_steps", 2, FloatDistribution(0.0, 0.9)),
    "optim.d_steps": When("loss.clip", 0.05, IntDistribution(1, 2)),
    "loss.clip": CLIP,
    "loss.name": LOSS,
}
RATIO = "optim.d_lr/optim.g_lr"
RATIOS = {RATIO: FloatDistribution(0.25, 4.0), "optim.g_lr": RATE}


def unresolved(config: TrialConfig) -> TrialConfig:
    return config


def test_a_ratio_sets_its_first_option() -> None:
    config = space_of(RATIOS).config({RATIO: 4.0, "optim.g_lr": 3e-4}, 0, resolve=unresolved)
    assert (config.optim.g_lr, config.optim.d_lr) == (3e-4, 4.0 * 3e-4)
    fixed = space_of({RATIO: RATIOS[RATIO]}, base=TrialConfig().override({"optim.g_lr": 5e-4}))
    assert fixed.config({RATIO: 0.5}, 0, resolve=unresolved).optim.d_lr == 2.5e-4
    assert fixed.config({}, 0, resolve=unresolved).optim.d_lr == TrialConfig().optim.d_lr


def test_a_ratio_may_relate_to_a_ratio_or_to_a_default_of_a_component() -> None:
    chain = {"train.ema_kimg/optim.d_lr": FloatDistribution(1, 100), **RATIOS}
    space = space_of(chain)
    assert space.ordered == ["optim.g_lr", RATIO, "train.ema_kimg/optim.d_lr"]
    values = {"train.ema_kimg/optim.d_lr": 10.0, RATIO: 2.0, "optim.g_lr": 1e-3}
    assert space.config(values, 0, resolve=unresolved).train.ema_kimg == 10.0 * (2.0 * 1e-3)
    space = space_of({"optim.beta1/model.leaky_slope": FloatDistribution(1, 2)})
    assert space.config({"optim.beta1/model.leaky_slope": 2.0}, 0, resolve=resolve).optim.beta1 == 0.4


def test_a_ratio_applies_only_where_its_second_option_does() -> None:
    space = space_of({"loss.name": LOSS, "loss.clip": CLIP, "optim.beta1/loss.clip": FloatDistribution(1, 2)})
    values = {"loss.name": "wgan", "loss.clip": 0.05, "optim.beta1/loss.clip": 2.0}
    assert space.active(values) == values
    assert space.active(values | {"loss.name": "bce"}) == {"loss.name": "bce"}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("optim.d_lr/optim.glr", r"unknown option 'optim\.glr'; did you mean optim\.g_lr"),
        ("optim.dlr/optim.g_lr", r"unknown option 'optim\.dlr'; did you mean optim\.d_lr"),
        ("optim.d_lr/loss.name", r"loss\.name=bce is no number"),
        ("optim.d_lr/train.compile", r"train\.compile=never is no number"),
        ("optim.d_lr/metrics.chunk", r"metrics\.chunk=None is no number"),
    ],
)
def test_a_ratio_of_what_is_no_number_is_refused(path: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        space_of({path: RATE}).config({path: 1e-3}, 0, resolve=unresolved)


def test_a_forbidden_combination_is_one_of_what_applies() -> None:
    space = space_of(
        {"loss.name": LOSS, "loss.clip": When("loss.name", "wgan", CategoricalDistribution([0.01, 0.1]))},
        forbidden=[{"loss.clip": 0.01}, {"loss.name": ["wgan"], "loss.clip": [0.1, 0.2], "optim.d_steps": 1}],
    )
    first, second = space.forbidden
    assert [str(clause) for clause in space.forbidden] == [
        "loss.clip=0.01",
        "loss.name=wgan, loss.clip=0.1 or 0.2, optim.d_steps=1",
    ]
    assert space.violated({"loss.name": "wgan", "loss.clip": 0.01}) == first
    assert space.violated({"loss.name": "wgan", "loss.clip": 0.1}) == second
    assert space.violated({"loss.name": "bce", "loss.clip": 0.01}) is None
    assert space.violated({"loss.name": "wgan"}) is None
    assert Space.model_validate_json(space.model_dump_json()) == space


@pytest.mark.parametrize(
    ("clause", "message"),
    [({}, "at least 1 item"), ({"loss.name": []}, r"no value of loss\.name"), ("loss.name", "dict"), ([], "dict")],
)
def test_what_forbids_nothing_is_refused(clause: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        space_of({"loss.name": LOSS}, forbidden=[clause])


@pytest.mark.parametrize("length", [1, 2, 3])
def test_conditions_in_a_circle_are_refused(length: int) -> None:
    circle = ["loss.clip", "optim.g_lr", "optim.d_lr"][:length]
    domain = FloatDistribution(0.1, 0.9)
    params = {path: When(circle[index - 1], 0.5, domain) for index, path in enumerate(circle)}
    with pytest.raises(ValidationError, match="depends on itself"):
        Space(base=TrialConfig(), params=params)


@pytest.mark.parametrize(
    "params",
    [
        {"optim.d_lr/optim.g_lr": RATE, "optim.g_lr/optim.d_lr": RATE},
        {"optim.d_lr/optim.g_lr": RATE, "optim.g_lr": When("optim.d_lr/optim.g_lr", 0.5, RATE)},
    ],
)
def test_a_circle_may_lead_through_ratios(params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"optim\.d_lr.* depends on itself, through optim"):
        space_of(params)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"params": {"loss.name": CategoricalDistribution(["bce", 3])}},
            "loss.name=3 is no component: its choices are",
        ),
        ({"params": {"loss.name": RATE}}, "loss.name=0.0001 is no component"),
        ({"params": {"loss.clip": When("loss.clip", 0.5, RATE)}}, "loss.clip depends on itself: remove"),
        ({"params": {"optim.d_lr/optim.d_lr": RATE}}, "optim.d_lr/optim.d_lr is the ratio of an option to itself"),
        ({"params": {"optim.d_lr/": RATE}}, "optim.d_lr/ is no ratio: write NUMERATOR/DENOMINATOR"),
        ({"params": {"/optim.d_lr": RATE}}, "/optim.d_lr is no ratio"),
        ({"params": {"optim.g_lr": (1e-4, 1e-3)}}, "optim.g_lr: give one of Optuna's distributions, such as"),
        ({"params": {"optim.g_lr": When("loss.name", "bce", (0.1, 0.2))}}, "optim.g_lr: give one of Optuna's"),
        (
            {"params": {"optim.d_steps": CategoricalDistribution([1, [2]])}},
            "optim.d_steps: [2]: values are text, numbers",
        ),
        ({"params": {"optim.d_steps": CategoricalDistribution([object])}, "trials": 0}, "trials=0: input should be"),
        ({"params": {}, "baselines": "sngan"}, "baselines=sngan: put it in a list: ['sngan']"),
        ({"params": {}, "forbidden": {"loss.name": "wgan"}}, "forbidden: put it in a list: [{'loss.name': 'wgan'}]"),
        ({"params": {}, "colour": 1}, "there is no colour"),
        ({}, "params is missing: give it as params="),
    ],
)
def test_the_faults_of_a_space_are_one_line_that_begins_with_the_place(fields: dict[str, Any], message: str) -> None:
    with (
        warnings.catch_warnings(action="ignore"),  # Optuna's, of choices that a journal can't hold
        pytest.raises(ValidationError) as caught,
    ):
        Space(**fields)
    assert faults(caught.value).startswith(message) and "\n" not in faults(caught.value)
    assert ";" not in faults(caught.value)
