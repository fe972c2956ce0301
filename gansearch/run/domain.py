"""The values that a parameter may take: one of Optuna's distributions as data."""

import math
import warnings
from collections.abc import Iterable, Mapping
from decimal import Decimal
from numbers import Number
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, FiniteFloat, Tag, model_validator

from gansearch.config import reference
from gansearch.errors import UserError, unknown

DISTRIBUTIONS = ("FloatDistribution", "IntDistribution", "CategoricalDistribution")
_TOLERANCE = 1e-8
_MOST = 2**53  # above it a float, which samplers compute with, can't hold every whole number

# Optuna warns that a journal can't hold a class. It never has to: a choice that is a class becomes its name here.
warnings.filterwarnings("ignore", message="Choices for a categorical distribution should be", category=UserWarning)

GIVE_A_DISTRIBUTION = (
    "give one of Optuna's distributions, such as FloatDistribution(1e-4, 1e-3) or CategoricalDistribution([8, 16])"
)


def _plain(value: Any) -> Any:
    """Returns a value with a class as its name; raises ValueError for a value that JSON can't keep apart."""
    value = reference(value)
    if not isinstance(value, bool | Number | str | None):
        raise ValueError(f"{value!r}: values are text, numbers, booleans, None or classes")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value}: give a finite number")
    return value


Value = Annotated[bool | int | FiniteFloat | str | None, BeforeValidator(_plain)]
"""A value of a parameter, in a form that JSON keeps apart from all others. A class becomes its name `MODULE:CLASS`."""


def is_among(value: Any, values: Iterable[Any]) -> bool:
    """Returns whether `value` equals one of `values`. A boolean equals no number, and so not 0 or 1."""
    is_boolean = isinstance(value, bool)
    for other in values:  # noqa: SIM110 - this is asked of every parameter of a run, and `any` takes twice as long
        if value == other and isinstance(other, bool) == is_boolean:
            return True
    return False


def as_typed(value: Any) -> str:
    """Returns a value as `--set` takes it: `true`, `null`, `wgan`, `0.01`."""
    return {True: "true", False: "false", None: "null"}[value] if isinstance(value, bool | None) else str(value)


def _is_whole(number: float) -> bool:
    """Returns whether a number is whole, but for the noise of binary fractions."""
    return abs(number - round(number)) < _TOLERANCE


class Data(BaseModel):
    """A part of a space: it does not change, and a field that is not declared is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Range(Data):
    """The numbers from `low` to `high`; with `step`, those that lie whole steps above `low`."""

    low: int | FiniteFloat
    high: int | FiniteFloat
    log: bool = False
    step: int | FiniteFloat | None = None

    @model_validator(mode="after")
    def _is_no_contradiction(self) -> Self:
        for number in (self.low, self.high, self.step):
            if isinstance(number, int) and abs(number) > _MOST:
                raise ValueError(f"a whole number of a range lies within {_MOST} of 0")
        if not math.isfinite(self.high - self.low):
            raise ValueError(f"from low={self.low:g} to high={self.high:g} is too far")
        if self.low > self.high:
            raise ValueError(f"low={self.low:g} is above high={self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"low={self.low:g}: a logarithmic range starts above 0")
        if self.step is not None and self.step <= 0:
            raise ValueError(f"step={self.step:g}: a step is above 0")
        if self.step is not None and not math.isfinite((self.high - self.low) / self.step):
            raise ValueError(f"step={self.step:g} is too small for so long a range")
        if self.step is not None and not _is_whole((self.high - self.low) / self.step):
            raise ValueError(f"high={self.high:g} lies no whole steps of {self.step:g} above low={self.low:g}")
        return self


class Choices(Data):
    """The values of a category."""

    choices: tuple[Value, ...]

    @model_validator(mode="after")
    def _differ(self) -> Self:
        if not self.choices:
            raise ValueError("there are no choices: give at least two")
        for index, choice in enumerate(self.choices):
            if is_among(choice, self.choices[:index]):
                raise ValueError(f"the choice {as_typed(choice)} is given twice: give it once")
        return self


def _range_or_choices(attributes: Any) -> str:
    has_choices = "choices" in attributes if isinstance(attributes, Mapping) else isinstance(attributes, Choices)
    return "choices" if has_choices else "range"


class Domain(Data):
    """The values that a parameter may take: one of Optuna's distributions, in the form in which Optuna writes JSON.

    An Optuna distribution is accepted in place of a `Domain`. Optuna itself is not imported here, so that reading a
    finished run stays fast.
    """

    name: Literal["FloatDistribution", "IntDistribution", "CategoricalDistribution"]
    attributes: Annotated[
        # A fault is reported of the one that is meant, not of both.
        Annotated[Range, Tag("range")] | Annotated[Choices, Tag("choices")], Discriminator(_range_or_choices)
    ]

    @model_validator(mode="before")
    @classmethod
    def _from_optuna(cls, value: Any) -> Any:
        if type(value).__name__ in DISTRIBUTIONS:
            return {"name": type(value).__name__, "attributes": value._asdict()}
        if not isinstance(value, Mapping | Domain):
            raise ValueError(GIVE_A_DISTRIBUTION)
        return value

    @model_validator(mode="after")
    def _is_of_its_kind(self) -> Self:
        numbers = [self.attributes.low, self.attributes.high] if isinstance(self.attributes, Range) else []
        if self.is_categorical == bool(numbers):
            raise ValueError(f"{self.name} takes other attributes than these")
        if self.name == "IntDistribution" and not all(isinstance(number, int) for number in numbers):
            raise ValueError("low and high of an IntDistribution are whole numbers")
        if isinstance(self.attributes, Range) and self.attributes.log:
            whole_steps = self.name == "IntDistribution" and self.attributes.step == 1
            if self.attributes.step is not None and not whole_steps:
                raise ValueError("a logarithmic range has no step: leave out one of the two")
        return self

    @property
    def is_categorical(self) -> bool:
        return self.name == "CategoricalDistribution"

    @property
    def is_continuous(self) -> bool:
        """Whether the domain has so many values that one given value is practically never drawn."""
        return not self.is_categorical and self.step is None and not self.is_single

    @property
    def choices(self) -> tuple[Any, ...]:
        """The values of a category; empty for a range of numbers."""
        return self.attributes.choices if isinstance(self.attributes, Choices) else ()

    @property
    def range(self) -> Range:
        """The range of a number. Raises TypeError for a category."""
        if isinstance(self.attributes, Choices):
            raise TypeError("a category has no range")
        return self.attributes

    @property
    def step(self) -> int | float | None:
        """The distance of neighbouring numbers, None where there are no steps. Raises TypeError for a category."""
        return self.range.step or (1 if self.name == "IntDistribution" else None)

    @property
    def is_single(self) -> bool:
        """Whether the domain has one value, `first`."""
        if isinstance(self.attributes, Choices):
            return len(self.attributes.choices) == 1
        return self.attributes.low == self.attributes.high

    @property
    def first(self) -> Any:
        """The first choice of a category, the lowest number of a range."""
        return self.attributes.choices[0] if isinstance(self.attributes, Choices) else self.attributes.low

    def contains(self, value: Any) -> bool:
        """Returns whether the domain can give `value`. A boolean is neither a number nor the choice 0 or 1."""
        if isinstance(self.attributes, Choices):
            return is_among(value, self.attributes.choices)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        step = self.step
        if step is None or (self.name == "IntDistribution" and step == 1 and isinstance(value, int)):
            return self.attributes.low <= value <= self.attributes.high
        slack = _TOLERANCE * step
        is_between = self.attributes.low - slack <= value <= self.attributes.high + slack
        return is_between and abs(self.nearest(value) - value) <= slack

    def nearest(self, number: float) -> int | float:
        """Returns the number of the range that lies nearest to `number`. Raises TypeError for a category.

        With a step it is the one that a person would write, such as 0.3, though 0.1 + 2 * 0.1 is another number in
        binary: conditions, forbidden combinations and baselines are compared with it.
        """
        low, high, step = self.range.low, self.range.high, self.step
        found: Any = min(max(number, low), high)
        if step is not None:
            first, size = Decimal(str(low)), Decimal(str(step))
            found = first + size * round((Decimal(found) - first) / size)
            if abs(float(found) - high) <= _TOLERANCE * step:  # three steps of 0.3333 are 0.9999
                found = high
        return int(found) if self.name == "IntDistribution" else float(found)

    def outside(self, path: str, value: Any) -> UserError:
        """Returns the error for a value of the option at `path` that this domain does not contain."""
        if isinstance(self.attributes, Choices):
            return unknown(f"value of {path}:", str(value), map(str, self.attributes.choices))
        return UserError(
            f"{path}={value} is outside the space's domain, {self.attributes.low:g} to {self.attributes.high:g}"
        )

    def fixed(self, value: Any) -> "Domain":
        """Returns the domain of the same kind that holds `value` alone. Raises ValueError for a value outside."""
        if not self.contains(value):
            raise ValueError(f"{value!r} is outside the domain")
        if isinstance(self.attributes, Choices):
            return self.model_copy(update={"attributes": Choices(choices=(value,))})
        only = self.nearest(value)
        if self.name == "IntDistribution":
            return self.model_copy(update={"attributes": Range(low=only, high=only, step=1)})
        return self.model_copy(update={"attributes": Range(low=only, high=only, log=self.attributes.log)})
