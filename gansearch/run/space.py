"""A search space as data: a base configuration, domains for some of its options, and when each of them applies."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from gansearch.config import TrialConfig
from gansearch.errors import UserError, unknown

DOMAINS = ("FloatDistribution", "IntDistribution", "CategoricalDistribution")
_TOLERANCE = 1e-8


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Range(_Data):
    """The numbers from `low` to `high`; with `step`, those that lie whole steps above `low`."""

    low: int | FiniteFloat
    high: int | FiniteFloat
    log: bool = False
    step: int | FiniteFloat | None = None

    @model_validator(mode="after")
    def _is_no_contradiction(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low={self.low:g} is above high={self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"low={self.low:g}: a logarithmic range starts above 0")
        if self.step is not None and self.step <= 0:
            raise ValueError(f"step={self.step:g}: a step is above 0")
        return self


class Choices(_Data):
    """The values of a category."""

    choices: tuple[bool | int | FiniteFloat | str | None, ...] = Field(min_length=1)


class Domain(_Data):
    """The values that a parameter may take: one of Optuna's distributions, in the form in which Optuna writes JSON.

    An Optuna distribution is accepted in place of a `Domain`. Optuna itself is not imported here, so that reading a
    finished run stays fast.
    """

    name: Literal["FloatDistribution", "IntDistribution", "CategoricalDistribution"]
    attributes: Range | Choices

    @model_validator(mode="before")
    @classmethod
    def _from_optuna(cls, value: Any) -> Any:
        if type(value).__name__ in DOMAINS:
            return {"name": type(value).__name__, "attributes": value._asdict()}
        return value

    @model_validator(mode="after")
    def _is_of_its_kind(self) -> Self:
        numbers = [self.attributes.low, self.attributes.high] if isinstance(self.attributes, Range) else []
        if self.is_categorical == bool(numbers):
            raise ValueError(f"{self.name} takes other attributes than these")
        if self.name == "IntDistribution" and not all(isinstance(number, int) for number in numbers):
            raise ValueError("low and high of an IntDistribution are whole numbers")
        return self

    @property
    def is_categorical(self) -> bool:
        return self.name == "CategoricalDistribution"

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

    def contains(self, value: Any) -> bool:
        """Returns whether the domain can give `value`. A boolean is neither a number nor the choice 0 or 1."""
        if isinstance(self.attributes, Choices):
            flag = isinstance(value, bool)
            return any(value == choice and isinstance(choice, bool) == flag for choice in self.attributes.choices)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        low, high, step = self.attributes.low, self.attributes.high, self.attributes.step
        if self.name == "IntDistribution":
            step = step or 1
        steps = (value - low) / step if step else 0.0
        return low <= value <= high and abs(steps - round(steps)) < _TOLERANCE

    def outside(self, path: str, value: Any) -> UserError:
        """Returns the error for a value of the option at `path` that this domain does not contain."""
        if isinstance(self.attributes, Choices):
            return unknown(f"value of {path}:", str(value), map(str, self.attributes.choices))
        return UserError(
            f"{path}={value} is outside the space's domain, {self.attributes.low:g} to {self.attributes.high:g}"
        )


class Condition(_Data):
    """A parameter applies only where the parameter at `path` has the value `equals`."""

    path: str
    equals: bool | int | float | str | None

    def __str__(self) -> str:
        return f"{self.path}={self.equals}"


class Parameter(_Data):
    """A searched option: the values that it may take, and the condition under which it applies, if there is one."""

    domain: Domain
    when: Condition | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_a_space_file(cls, value: Any) -> Any:
        if isinstance(value, When):
            return {"domain": value.domain, "when": {"path": value.path, "equals": value.equals}}
        if isinstance(value, Domain) or type(value).__name__ in DOMAINS:
            return {"domain": value}
        return value


@dataclass(frozen=True)
class When:
    """How a space file writes a conditional parameter: `domain` applies where the one at `path` equals `equals`."""

    path: str
    equals: Any
    domain: Any


class Space(_Data):
    """A search space: the options to search, the values of all others, and the recipes to try first.

    Args:
        base: The configuration that all trials share, except for the parameters.
        params: The searched options by dotted path. A value is one of Optuna's distributions, or a `When`.
        baselines: Names of recipes that are tried first. A baseline takes the values of its recipe for the
            parameters and the base's for all other options, so that all trials of a search can be compared.
        trials: The default number of trials.
    """

    base: TrialConfig
    params: dict[str, Parameter]
    baselines: tuple[str, ...] = ()
    trials: int = Field(16, ge=1)

    @model_validator(mode="after")
    def _no_condition_in_a_circle(self) -> Self:
        for path in self.params:
            chain = [path]
            while (when := self.params[chain[-1]].when) is not None and when.path in self.params:
                if when.path in chain:
                    raise ValueError(f"{path} depends on itself, through {', '.join(chain[1:]) or when.path}")
                chain.append(when.path)
        return self

    @property
    def component_names(self) -> set[str]:
        """The names of all components that some trial may use."""
        searched = (one.domain.choices for path, one in self.params.items() if path.endswith(".name"))
        return self.base.component_names.union(*searched)

    def replaced(self, **changes: Any) -> "Space":
        """Returns a copy with fields changed, which are validated again."""
        return Space(**{name: getattr(self, name) for name in type(self).model_fields} | changes)

    def applies(self, path: str, params: Mapping[str, Any]) -> bool:
        """Returns whether the parameter at `path` has an effect, given the values of the others."""
        when = self.params[path].when
        return when is None or (
            when.path in self.params and params.get(when.path) == when.equals and self.applies(when.path, params)
        )

    def active(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the values among `params` that have an effect, in the order of the space."""
        return {path: params[path] for path in self.params if path in params and self.applies(path, params)}

    @property
    def ordered(self) -> list[str]:
        """The paths of all parameters, those without a condition first."""
        return sorted(self.params, key=lambda path: self.params[path].when is not None)

    def config(
        self, params: Mapping[str, Any], seed: int, *, resolve: Callable[[TrialConfig], TrialConfig]
    ) -> TrialConfig:
        """Returns the configuration of a trial. It is validated and resolved here, once, and then passed on whole.

        Args:
            params: Values by dotted path.
            seed: The seed of the trial.
            resolve: Fills in the defaults of the components: `gansearch.registry.resolve`.

        Raises:
            UserError: A value is invalid.
        """
        return resolve(self.base.override({**params, "seed": seed}))
