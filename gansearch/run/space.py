"""A search space as data: a base configuration, domains for some of its options, and when each of them applies."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

from pydantic import ConfigDict, Field, RootModel, ValidationError, field_validator, model_validator

from gansearch.config import TrialConfig
from gansearch.errors import UserError, unknown
from gansearch.run.domain import DISTRIBUTIONS, GIVE_A_DISTRIBUTION, Data, Domain, Value, as_typed, is_among

MOST_TRIALS = 10**6
_NOT_GIVEN: Any = object()


class Condition(Data):
    """A parameter applies only where the parameter at `path` has one of the values `among`."""

    path: str
    among: tuple[Value, ...] = Field(min_length=1)

    def __str__(self) -> str:
        return f"{self.path}={' or '.join(map(as_typed, self.among))}"

    def holds(self, params: Mapping[str, Any]) -> bool:
        return self.path in params and is_among(params[self.path], self.among)


class Clause(RootModel[dict[str, tuple[Value, ...]]]):
    """A forbidden combination: values by path. No trial has one of the values of every path at once.

    A space file may write a single value in place of a list.
    """

    model_config = ConfigDict(frozen=True)
    root: dict[str, tuple[Value, ...]] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _single_values(cls, clause: Any) -> Any:
        if not isinstance(clause, Mapping):
            return clause
        return {path: values if isinstance(values, list | tuple) else (values,) for path, values in clause.items()}

    @model_validator(mode="after")
    def _has_values(self) -> Self:
        for path, values in self.root.items():
            if not values:
                raise ValueError(f"a forbidden combination has no value of {path}: give one, or leave the path out")
        return self

    def __str__(self) -> str:
        return ", ".join(f"{path}={' or '.join(map(as_typed, values))}" for path, values in self.root.items())


@dataclass(frozen=True)
class When:
    """How a space file writes a conditional parameter: a domain, and where it applies.

    `When("loss.name", "wgan", domain)` applies where the parameter `loss.name` equals `wgan`, and
    `When("loss.name", among=["wgan", "wgan-gp"], domain=domain)` where it has one of these values. The parameter named
    may itself be conditional. Raises UserError unless exactly one of `equals` and `among` is given.
    """

    path: str
    equals: Any = _NOT_GIVEN
    domain: Any = _NOT_GIVEN
    among: Sequence[Any] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if (self.equals is _NOT_GIVEN) == (self.among is None):
            raise UserError(f"When({self.path!r}, ...): give either equals=VALUE or among=[VALUE, ...]")
        if not isinstance(self.among, list | tuple | None):
            raise UserError(f"When({self.path!r}, ...): put the values in a list, among=[{self.among!r}]")
        if self.among is not None and not self.among:
            raise UserError(f"When({self.path!r}, ...): among=[] has no value: give at least one")
        if self.domain is _NOT_GIVEN:
            raise UserError(f"When({self.path!r}, ...): give domain=, one of Optuna's distributions")

    @property
    def condition(self) -> dict[str, Any]:
        """The fields of the `Condition`."""
        return {"path": self.path, "among": (self.equals,) if self.among is None else self.among}


class Parameter(Data):
    """A searched option: the values that it may take, and the condition under which it applies, if there is one."""

    domain: Domain
    when: Condition | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_a_space_file(cls, value: Any) -> Any:
        if isinstance(value, When):
            return {"domain": value.domain, "when": value.condition}
        if isinstance(value, Domain) or type(value).__name__ in DISTRIBUTIONS:
            return {"domain": value}
        if not isinstance(value, Mapping | Parameter):
            raise ValueError(GIVE_A_DISTRIBUTION)
        return value


def ratio(path: str) -> tuple[str, str] | None:
    """Returns numerator and denominator of a parameter that is a ratio, `optim.d_lr/optim.g_lr`; None for others."""
    numerator, slash, denominator = path.partition("/")
    return (numerator, denominator) if slash else None


class Space(Data):
    """A search space: the options to search, the values of all others, and the recipes to try first.

    Args:
        base: The configuration that all trials share, except for the parameters.
        params: The searched options by dotted path. A value is one of Optuna's distributions, or a `When`. A path
            `"optim.d_lr/optim.g_lr"` searches the ratio of two numbers: a trial with the value k has
            `optim.d_lr = k * optim.g_lr`. The second option is another parameter, or has a value in the base. A ratio
            applies only where its second option applies.
        baselines: Names of recipes that are tried first. A baseline takes the values of its recipe for the
            parameters and the base's for all other options, so that all trials of a search can be compared.
        trials: The default number of trials.
        forbidden: Combinations that no trial may have: `{"model.spectral_norm": True, "loss.name": ["wgan"]}`. A
            parameter that does not apply matches nothing. An option that is not searched may be named too, with the
            value that it has in the base.
    """

    base: TrialConfig = TrialConfig()
    params: dict[str, Parameter]
    baselines: tuple[str, ...] = ()
    trials: int = Field(16, ge=1, le=MOST_TRIALS)
    forbidden: tuple[Clause, ...] = ()

    @field_validator("baselines", "forbidden", mode="before")
    @classmethod
    def _in_a_list(cls, value: Any) -> Any:
        if isinstance(value, str | Mapping | Clause):
            raise ValueError(f"put it in a list: [{value!r}]")
        return value

    @model_validator(mode="after")
    def _components_have_names(self) -> Self:
        for path, parameter in self.params.items():
            values = parameter.domain.choices or (parameter.domain.first,)
            for value in values if path.endswith(".name") and ratio(path) is None else ():
                if not isinstance(value, str):
                    raise ValueError(f"{path}={value} is no component: its choices are names, as text, or classes")
        return self

    @model_validator(mode="after")
    def _ratios_have_two_options(self) -> Self:
        for path in self.params:
            parts = ratio(path)
            if parts is not None and not all(parts):
                raise ValueError(f"{path} is no ratio: write NUMERATOR/DENOMINATOR, as in optim.d_lr/optim.g_lr")
            if parts is not None and parts[0] == parts[1]:
                raise ValueError(f"{path} is the ratio of an option to itself, which is always 1: remove it")
        return self

    @model_validator(mode="after")
    def _no_parameter_depends_on_itself(self) -> Self:
        def walk(path: str, chain: tuple[str, ...]) -> None:
            if path in chain:
                circle = chain[chain.index(path) :]
                if len(circle) == 1:
                    raise ValueError(f"{path} depends on itself: remove its condition")
                through = ", ".join(circle[1:])
                raise ValueError(
                    f"{path} depends on itself, through {through}: remove one of these conditions or ratios"
                )
            for parent in self.parents(path):
                walk(parent, (*chain, path))

        for path in self.params:
            walk(path, ())
        return self

    @property
    def component_names(self) -> set[str]:
        """The names of all components that some trial may use."""
        searched = (one.domain.choices for path, one in self.params.items() if path.endswith(".name"))
        return self.base.component_names.union(*searched)

    def replaced(self, **changes: Any) -> "Space":
        """Returns a copy with fields changed, which are validated again."""
        return Space(**{name: getattr(self, name) for name in type(self).model_fields} | changes)

    def denominator(self, path: str) -> str | None:
        """Returns the parameter that sets the second option of a ratio; None for other parameters or a fixed option."""
        parts = ratio(path)
        if parts is None:
            return None
        setters = (other for other in self.params if other == parts[1] or other.startswith(f"{parts[1]}/"))
        return next(setters, None)

    def parents(self, path: str) -> list[str]:
        """Returns the parameters on which the one at `path` depends directly: of its condition and its denominator."""
        when = self.params[path].when
        candidates = (when.path if when else None, self.denominator(path))
        return [parent for parent in candidates if parent in self.params]

    def conditions(self, path: str) -> list[Condition]:
        """Returns all conditions under which a parameter applies: its own first, then those of its parents."""
        return self._conditions[path]

    @cached_property
    def _conditions(self) -> dict[str, list[Condition]]:
        """The conditions of all parameters, which are asked for once for each trial of a run."""

        def found(path: str) -> Iterator[Condition]:
            when = self.params[path].when
            if when is not None:
                yield when
            for parent in self.parents(path):
                yield from found(parent)

        return {path: list(dict.fromkeys(found(path))) for path in self.params}

    def applies(self, path: str, params: Mapping[str, Any]) -> bool:
        """Returns whether the parameter at `path` has an effect, given the values of the others."""
        conditions = self._conditions[path]
        return not conditions or all(when.path in self.params and when.holds(params) for when in conditions)

    def active(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the values among `params` that have an effect, in the order of the space."""
        return {path: params[path] for path in self.params if path in params and self.applies(path, params)}

    @property
    def ordered(self) -> list[str]:
        """The paths of all parameters, each after those on which it depends, else in the order of the space."""

        def depth(path: str) -> int:
            return max((1 + depth(parent) for parent in self.parents(path)), default=0)

        return sorted(self.params, key=depth)

    def violated(self, params: Mapping[str, Any]) -> Clause | None:
        """Returns the first forbidden combination that a trial with these parameters would have."""
        active = self.active(params)

        def matches(path: str, values: Sequence[Any]) -> bool:
            return path not in self.params or (path in active and is_among(active[path], values))

        return next((clause for clause in self.forbidden if all(matches(*item) for item in clause.root.items())), None)

    def config(
        self, params: Mapping[str, Any], seed: int, *, resolve: Callable[[TrialConfig], TrialConfig]
    ) -> TrialConfig:
        """Returns the configuration of a trial. It is validated and resolved here and then passed on whole.

        Args:
            params: Values by path.
            seed: The seed of the trial.
            resolve: Fills in the defaults of the components: `gansearch.registry.resolve`.

        Raises:
            UserError: A value is invalid, or a ratio has no number as its second option.
        """
        ratios = [path for path in self.ordered if path in params and ratio(path)]
        changes = {path: value for path, value in params.items() if path not in ratios} | {"seed": seed}
        config = resolve(self.base.override(changes))
        if not ratios:
            return config
        changes |= _numerators(ratios, params, config.flat())
        try:
            return resolve(self.base.override(changes))
        except UserError as error:  # without what the ratios set, the configuration was valid
            values = ", ".join(f"{path}={params[path]:g}" for path in ratios)
            raise UserError(f"{error}; it follows from {values}: narrow that") from None


def _numerators(ratios: Sequence[str], params: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the options that ratios set, given the values of all other options."""
    computed: dict[str, Any] = {}
    for path in ratios:
        numerator, denominator = path.split("/", 1)
        value = computed.get(denominator, values.get(denominator))
        if denominator not in values:
            raise unknown("option", denominator, values)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UserError(f"{path}: {denominator}={value} is no number, so it has no ratio; search {numerator} alone")
        computed[numerator] = params[path] * value
    return computed


def faults(error: ValidationError) -> str:
    """Returns what pydantic found wrong with a `Space`, on one line, each with the field or the parameter it is in."""
    found = []
    for item in error.errors():
        location = [str(part) for part in item["loc"]]
        where = location[1] if location[0:1] == ["params"] and len(location) > 1 else ".".join(location)
        message, value = item["msg"].removeprefix("Value error, "), item["input"]
        if item["type"] == "missing":
            found.append(f"{where} is missing: give it as {location[-1]}=")
        elif item["type"] == "extra_forbidden":
            found.append(f"there is no {where}")
        elif where and isinstance(value, str | int | float | None):
            found.append(f"{where}={value}: {message[0].lower()}{message[1:]}")
        else:
            found.append(f"{where}: {message}" if where else message)
    return "; ".join(dict.fromkeys(found))
