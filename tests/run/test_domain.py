"""Domains as data: which values a domain has, and what is no domain."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from pydantic import ValidationError

from gansearch.errors import UserError
from gansearch.run.domain import Domain
from gansearch.run.space import Parameter
from gansearch.search.unit_cube import Axis

RATE = FloatDistribution(1e-4, 1e-2, log=True)
LOSS = CategoricalDistribution(["bce", "wgan"])

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
        (IntDistribution(1, 8, log=True), [1, 8], [0, 2.5, 10**400]),
        (CategoricalDistribution([0, False]), [0, False], [1, True]),
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


STEPS = st.sampled_from([0.1, 0.2, 0.3, 0.05, 0.07, 0.25, 1 / 3, 0.001])


@given(low=st.sampled_from([0.0, 0.1, 0.3, -0.7, 5.0]), step=STEPS, count=st.integers(1, 60), number=NUMBERS)
def test_a_range_with_steps_has_the_numbers_that_people_write(
    low: float, step: float, count: int, number: float
) -> None:
    high = float(Decimal(str(low)) + count * Decimal(str(step)))
    domain = Domain.model_validate(
        {"name": "FloatDistribution", "attributes": {"low": low, "high": high, "step": step}}
    )
    written = [float(Decimal(str(low)) + each * Decimal(str(step))) for each in range(count + 1)]
    assert [domain.nearest(low + each * step) for each in range(count + 1)] == written
    assert all(domain.contains(low + each * step) and domain.contains(written[each]) for each in range(count + 1))
    assert domain.nearest(number) in written and low <= domain.nearest(number) <= high
    assert min(abs(one - number) for one in written) == pytest.approx(abs(domain.nearest(number) - number))
    assert all(Axis(domain).from_unit(each / 100) in written for each in range(101))


def test_the_nearest_number_of_other_ranges() -> None:
    thirds = Domain.model_validate(numbers("FloatDistribution", low=0, high=1, step=1 / 3))
    assert (thirds.nearest(0.99), thirds.nearest(0.5), thirds.contains(1)) == (1.0, 0.6666666666666666, True)
    whole = Domain.model_validate(IntDistribution(1, 9, step=4))
    assert [whole.nearest(number) for number in (-3.0, 2.9, 3.1, 8, 100)] == [1, 1, 5, 9, 9]
    assert type(whole.nearest(3.1)) is int
    assert Domain.model_validate(IntDistribution(-(2**53), 2**53)).nearest(2**53 - 1) == 2**53 - 1
    assert Domain.model_validate(RATE).nearest(5) == 1e-2


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
        ({"name": "CategoricalDistribution", "attributes": {"choices": []}}, "there are no choices"),
        ({"name": "CategoricalDistribution", "attributes": {"choices": [[1]]}}, r"\[1\]: values are text, numbers"),
        ({"name": "CategoricalDistribution", "attributes": {"choices": [2, "a", 2.0]}}, "choice 2.0 is given twice"),
        (numbers("FloatDistribution", step=0.3), r"high=1 lies no whole steps of 0\.3 above low=0"),
        (numbers("FloatDistribution", step=2.0), "high=1 lies no whole steps of 2 above"),
        (numbers("FloatDistribution", low=0.1, log=True, step=0.1), "a logarithmic range has no step"),
        (numbers("IntDistribution", low=1, high=9, log=True, step=2), "a logarithmic range has no step"),
        (numbers("IntDistribution", high=10**400), "lies within"),
        (numbers("FloatDistribution", low=-1e308, high=1e308), "is too far"),
        (numbers("FloatDistribution", log=True), "logarithmic range starts above 0"),
        (numbers("FloatDistribution", step=0), "a step is above 0"),
        (numbers("FloatDistribution", high=float("inf")), "finite number"),
        (numbers("FloatDistribution", colour="red"), "colour"),
        (numbers("IntDistribution", high=1.5), "whole numbers"),
        ([0, 1], "Optuna's distributions"),
        ((1e-4, 1e-3), "Optuna's distributions, such as FloatDistribution"),
        ({"name": "CategoricalDistribution", "attributes": {"choices": [object()]}}, "are text, numbers, booleans"),
        ({"name": "CategoricalDistribution", "attributes": {"choices": [float("nan")]}}, "finite number"),
    ],
)
def test_what_is_no_domain_is_refused(domain: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Parameter.model_validate({"domain": domain})


@pytest.mark.parametrize(
    ("distribution", "value"),
    [
        (RATE, 1e-3),
        (IntDistribution(1, 5, step=2), 3),
        (IntDistribution(1, 5), 2.0),
        (FloatDistribution(0, 0.9, step=0.3), 0.3),
        (CategoricalDistribution([False, True]), True),
        (CategoricalDistribution([None, "a"]), None),
    ],
)
def test_a_domain_that_is_fixed_has_one_value(distribution: BaseDistribution, value: Any) -> None:
    domain = Domain.model_validate(distribution)
    fixed = domain.fixed(value)
    assert fixed.is_single and not domain.is_single
    assert (fixed.name, fixed.first, fixed.is_continuous) == (domain.name, value, False)
    assert Domain.model_validate_json(fixed.model_dump_json()) == fixed
    with pytest.raises(ValueError, match="outside the domain"):
        domain.fixed("elsewhere")


def test_only_a_range_without_steps_is_continuous() -> None:
    domains = [RATE, FloatDistribution(0, 1, step=0.5), FloatDistribution(1, 1), IntDistribution(1, 9), LOSS]
    assert [Domain.model_validate(domain).is_continuous for domain in domains] == [True, False, False, False, False]
