"""A search space as data: a base configuration, domains for some of its options, and when each applies."""

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
    json_to_distribution,
)

from gansearch.config import TrialConfig, from_dict
from gansearch.data.base import Images
from gansearch.errors import UserError, one_line, unknown
from gansearch.recipes import recipe
from gansearch.training.feasibility import check, check_data

# What would make FIDs of two trials incomparable, or their evaluations fall at different kimg.
_NOT_SEARCHABLE = ("seed", "data.", "metrics.", "artifacts.", "train.max_kimg", "train.evaluations")
_BUILDING = ("model.", "loss.")  # what decides whether G and D can be built
_MOST_COMBINATIONS = 1024
_MOST_STEPS = 64
_STEPS = ("train.batch", "optim.d_steps")
_GOLDEN = 0.618


@dataclass(frozen=True)
class When:
    """A domain that applies only where the parameter at `path` has the value `equals`."""

    path: str
    equals: Any
    domain: BaseDistribution


@dataclass(frozen=True, kw_only=True)
class Space:
    """What a search varies (`params`, by dotted path), what it keeps (`base`), and what it tries first.

    `baselines` are names of recipes: a baseline trial takes the recipe's values for the parameters and keeps the
    base's for the rest, so that all trials of a search are comparable. `trials` is the default number of trials.
    """

    base: TrialConfig
    params: Mapping[str, BaseDistribution | When]
    baselines: Sequence[str] = ()
    trials: int = field(default=16)

    def domain(self, path: str) -> BaseDistribution:
        entry = self.params[path]
        return entry.domain if isinstance(entry, When) else entry

    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        """Asks Optuna for a value of every parameter that applies."""
        chosen: dict[str, Any] = {}
        for path in self._ordered():
            if self._applies(path, chosen):
                chosen[path] = _suggest(trial, path, self.domain(path))
        return chosen

    def active(self, params: Mapping[str, Any]) -> dict[str, BaseDistribution]:
        """The domains of the parameters that apply, given the values of the others."""
        return {path: self.domain(path) for path in self._ordered() if self._applies(path, params)}

    def config(self, params: Mapping[str, Any], seed: int) -> TrialConfig:
        """The resolved configuration of a trial; UserError where a value or a combination is not possible."""
        return check(self.base.override({**params, "seed": seed}))

    def baseline(self, name: str) -> dict[str, Any]:
        """A recipe's values for the parameters; UserError where one lies outside its domain.

        What the recipe does not have, since its loss or model is another than the space's, keeps the base's value.
        """
        values = {**check(self.base).flat(), **check(recipe(name).config).flat()}
        chosen: dict[str, Any] = {}
        for path in self._ordered():
            if not self._applies(path, chosen):
                continue
            value, domain = values.get(path), self.domain(path)
            if not contains(domain, value):
                raise UserError(f"baseline {name}: {one_line(outside(path, value, domain))}; widen it")
            chosen[path] = value
        return chosen

    def check(self) -> None:
        """Refuses (UserError) a space with a wrong path, a condition on nothing, or values that can't be built."""
        for path, entry in self.params.items():
            if path.startswith(_NOT_SEARCHABLE):
                raise UserError(f"{path} can't be searched: trials would no longer be comparable; set it in the base")
            if isinstance(entry, When):
                parent = self.params.get(entry.path)
                if parent is None or isinstance(parent, When):
                    raise UserError(f"{path} depends on {entry.path}, which is no unconditional parameter of the space")
                if not contains(parent, entry.equals):
                    raise UserError(f"{path} applies when {entry.path}={entry.equals}, which {parent} never gives")
        for params in self._corners():
            self.config(params, seed=0)
        same: dict[str, str] = {}
        for name in self.baselines:
            config = self.config(self.baseline(name), seed=0).to_json()
            if config in same:
                raise UserError(
                    f"baselines {same[config]} and {name} are one and the same in this space: leave one out"
                )
            same[config] = name

    def check_data(self, images: Images) -> None:
        """Refuses (UserError) data that not all trials could train on; to be called after `check`."""
        configs = (self.base.override(params) for params in self._corners())
        for config in {(config.model.model_dump_json(), config.train.batch): config for config in configs}.values():
            check_data(config, images)

    def to_dict(self) -> dict[str, Any]:
        """As JSON data; `from_dict` is the way back."""
        params = {}
        for path, entry in self.params.items():
            condition = {"path": entry.path, "equals": entry.equals} if isinstance(entry, When) else None
            params[path] = {"domain": json.loads(distribution_to_json(self.domain(path))), "when": condition}
        return {
            "base": self.base.model_dump(),
            "params": params,
            "baselines": list(self.baselines),
            "trials": self.trials,
        }

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> "Space":
        params: dict[str, BaseDistribution | When] = {}
        for path, entry in tree["params"].items():
            domain = json_to_distribution(json.dumps(entry["domain"]))
            params[path] = When(entry["when"]["path"], entry["when"]["equals"], domain) if entry["when"] else domain
        return cls(base=from_dict(tree["base"]), params=params, baselines=tree["baselines"], trials=tree["trials"])

    def _ordered(self) -> list[str]:
        """Paths with the conditional ones last."""
        return sorted(self.params, key=lambda path: isinstance(self.params[path], When))

    def _applies(self, path: str, chosen: Mapping[str, Any]) -> bool:
        entry = self.params[path]
        return not isinstance(entry, When) or chosen.get(entry.path) == entry.equals

    def _corners(self) -> list[dict[str, Any]]:
        """Parameters that meet every edge of a domain, and every combination of what decides how the nets are built.

        Raises UserError where these are too many to try.
        """
        edges = {path: _edges(self.domain(path)) for path in self.params}
        first = {path: ends[0] for path, ends in edges.items()}
        crossed = [path for path in self.params if path.startswith(_BUILDING) and self._categorical(path)]
        corners: dict[str, dict[str, Any]] = {}
        for values in itertools.product(*(edges[path] for path in crossed)):
            self._add(corners, first | dict(zip(crossed, values, strict=True)))
            if len(corners) > _MOST_COMBINATIONS:
                raise UserError(
                    f"the categories of {', '.join(crossed)} combine in more than {_MOST_COMBINATIONS} ways, too many "
                    "to check that all can be built: take some away"
                )
        # The largest batch with the most D steps: G must still get its turn.
        self._add(corners, first | {path: max(edges[path]) for path in _STEPS if path in edges})
        for path, ends in edges.items():
            entry = self.params[path]
            condition = {entry.path: entry.equals} if isinstance(entry, When) else {}
            for end in ends:
                self._add(corners, first | condition | {path: end})
        return list(corners.values())

    def _categorical(self, path: str) -> bool:
        return isinstance(self.domain(path), CategoricalDistribution)

    def _add(self, corners: dict[str, dict[str, Any]], corner: Mapping[str, Any]) -> None:
        active = {path: corner[path] for path in self.active(corner)}
        corners[json.dumps(active, sort_keys=True)] = active


def _suggest(trial: optuna.Trial, path: str, domain: BaseDistribution) -> Any:
    match domain:
        case FloatDistribution():
            return trial.suggest_float(path, domain.low, domain.high, step=domain.step, log=domain.log)
        case IntDistribution():
            return trial.suggest_int(path, domain.low, domain.high, step=domain.step, log=domain.log)
        case CategoricalDistribution():
            return trial.suggest_categorical(path, domain.choices)
    raise UserError(f"{path}: a domain is one of Optuna's Float-, Int- or CategoricalDistribution")


def _edges(domain: BaseDistribution) -> Sequence[Any]:
    match domain:
        case IntDistribution():
            every = range(domain.low, domain.high + 1, domain.step)
            # Of many: the first two, the last, and some between.
            return sorted({*every[:2], *every[:: 1 + len(every) // _MOST_STEPS], every[-1]})
        case FloatDistribution():
            # A number between too, which is hardly a whole one: the option may want one.
            between = domain.low + (domain.step or _GOLDEN * (domain.high - domain.low))
            return (domain.low, min(between, domain.high), domain.high)
        case CategoricalDistribution():
            return domain.choices
    raise UserError(f"{domain} is no domain: use Optuna's Float-, Int- or CategoricalDistribution")


def outside(path: str, value: Any, domain: BaseDistribution) -> UserError:
    """The error for a value that its domain does not hold."""
    if isinstance(domain, CategoricalDistribution):
        return unknown(f"value of {path}:", str(value), map(str, domain.choices))
    return UserError(f"{path}={value} is outside the space's domain, {domain.low:g} to {domain.high:g}")  # type: ignore[attr-defined]


def contains(domain: BaseDistribution, value: Any) -> bool:
    """Whether a domain can give a value."""
    if isinstance(domain, CategoricalDistribution):
        return value in domain.choices
    if not isinstance(value, int | float):
        return False
    try:
        return domain._contains(domain.to_internal_repr(value))
    except ValueError:  # NaN, and 0 where the domain is logarithmic
        return False
