"""Spaces as data: which values a domain has, which parameters apply, and what is no space."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from pydantic import ValidationError

from gansearch.config import TrialConfig
from gansearch.errors import UserError
from gansearch.run import Space, When
from gansearch.run.space import Domain, Parameter

RATE = FloatDistribution(1e-4, 1e-2, log=True)
LOSS = CategoricalDistribution(["bce", "wgan"])
CLIP = When("loss.name", "wgan", FloatDistribution(0.01, 0.1))


def space_of(params: dict[str, Any], **fields: Any) -> Space:
    return Space(base=TrialConfig(), params=params, **fields)


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
        },
        baselines=["dcgan"],
        trials=7,
    )
    again = Space.model_validate_json(space.model_dump_json())
    assert again == space and (again.baselines, again.trials) == (("dcgan",), 7)
    choices = again.params["model.attention_at"].domain.choices
    assert [(value, type(value)) for value in choices] == [(value, type(value)) for value in ("none", 8, 16, None, 0.5)]
    assert [type(value) for value in again.params["model.spectral_norm"].domain.choices] == [bool, bool]
    assert str(again.params["loss.clip"].when) == "loss.name=wgan"
    assert again.ordered == [*(path for path in space.params if path != "loss.clip"), "loss.clip"]


NUMBERS = st.floats(-1e6, 1e6)


@given(low=NUMBERS, high=NUMBERS, value=NUMBERS)
def test_a_range_holds_what_lies_between(low: float, high: float, value: float) -> None:
    if low > high:
        with pytest.raises(ValidationError, match="is above high"):
            Domain.model_validate({"name": "FloatDistribution", "attributes": {"low": low, "high": high}})
        return
    domain = Domain.model_validate(FloatDistribution(low, high))
    assert domain.contains(value) == (low <= value <= high)
    assert domain.contains(low) and domain.contains(high)


@pytest.mark.parametrize(
    ("distribution", "inside", "outside"),
    [
        (RATE, [1e-4, 1e-2, 0.001], [0, 0.1, "0.001", None, float("nan")]),
        (IntDistribution(1, 5, step=2), [1, 3, 5], [0, 2, 6, 1.5, "1", True]),
        (IntDistribution(1, 5), [1, 2, 5], [0, 1.5, 6]),
        (FloatDistribution(0, 0.9, step=0.3), [0, 0.3, 0.9], [0.2, 1.2, False]),
        (CategoricalDistribution(["none", 8]), ["none", 8], [16, "8", None, ["none"]]),
        (CategoricalDistribution([0, 1]), [0, 1], [False, True]),
        (CategoricalDistribution([False, True]), [False, True], [0, 1, "true"]),
        (CategoricalDistribution([None, "a"]), [None, "a"], ["None"]),
    ],
)
def test_what_a_domain_contains(distribution: BaseDistribution, inside: list[Any], outside: list[Any]) -> None:
    domain = Domain.model_validate(distribution)
    assert all(domain.contains(value) for value in inside)
    assert not any(domain.contains(value) for value in outside)


def test_the_error_for_a_value_outside_names_what_is_inside() -> None:
    error = Domain.model_validate(LOSS).outside("loss.name", "wgna")
    assert isinstance(error, UserError) and str(error) == "unknown value of loss.name: 'wgna'; did you mean wgan?"
    error = Domain.model_validate(RATE).outside("optim.g_lr", 1.0)
    assert str(error) == "optim.g_lr=1.0 is outside the space's domain, 0.0001 to 0.01"


def numbers(name: str, **attributes: Any) -> dict[str, Any]:
    return {"name": name, "attributes": {"low": 0, "high": 1} | attributes}


@pytest.mark.parametrize(
    ("domain", "message"),
    [
        (numbers("NormalDistribution"), "FloatDistribution"),
        (numbers("CategoricalDistribution"), "other attributes"),
        ({"name": "FloatDistribution", "attributes": {"choices": [1]}}, "other attributes"),
        ({"name": "CategoricalDistribution", "attributes": {"choices": []}}, "at least 1 item"),
        ({"name": "CategoricalDistribution", "attributes": {"choices": [[1]]}}, "choices"),
        (numbers("FloatDistribution", log=True), "logarithmic range starts above 0"),
        (numbers("FloatDistribution", step=0), "a step is above 0"),
        (numbers("FloatDistribution", high=float("inf")), "finite number"),
        (numbers("FloatDistribution", colour="red"), "colour"),
        (numbers("IntDistribution", high=1.5), "whole numbers"),
        ([0, 1], "Input should be"),
    ],
)
def test_what_is_no_domain_is_refused(domain: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Parameter.model_validate({"domain": domain})


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


@pytest.mark.parametrize("length", [1, 2, 3])
def test_conditions_in_a_circle_are_refused(length: int) -> None:
    circle = ["loss.clip", "optim.g_lr", "optim.d_lr"][:length]
    domain = FloatDistribution(0.1, 0.9)
    params = {path: When(circle[index - 1], 0.5, domain) for index, path in enumerate(circle)}
    with pytest.raises(ValidationError, match="depends on itself"):
        Space(base=TrialConfig(), params=params)
