"""Checks before a search starts that every trial that a space can propose can also be built and trained."""

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

from gansearch.data.base import Images
from gansearch.errors import UserError, one_line
from gansearch.recipes import recipe
from gansearch.registry import resolve
from gansearch.run.space import Domain, Space
from gansearch.training.feasibility import check, check_data

# Options that would make the FIDs of two trials incomparable, or put evaluations at different kimg.
_NOT_SEARCHABLE = ("seed", "data.", "metrics.", "artifacts.", "train.max_kimg", "train.evaluations")
_BUILDING = ("model.", "loss.")  # options that decide whether G and D can be built
_MOST_COMBINATIONS = 1024
_MOST_STEPS = 64
_STEPS = ("train.batch", "optim.d_steps")
_GOLDEN = 0.618


def check_space(space: Space) -> None:
    """Refuses a space that can't be searched. No data is needed.

    Raises:
        UserError: A path is no option or must not be searched, a condition can never hold, some values can't be built,
            or a baseline lies outside a domain.
    """
    for path, parameter in space.params.items():
        if path.startswith(_NOT_SEARCHABLE):
            raise UserError(f"{path} can't be searched: trials would not be comparable; set it in the space's base")
        when = parameter.when
        if when is None:
            continue
        parent = space.params.get(when.path)
        if parent is None or parent.when is not None:
            raise UserError(f"{path} depends on {when.path}, which is no unconditional parameter of the space")
        if not parent.domain.contains(when.equals):
            raise UserError(f"{path} applies when {when}, a value that {when.path} never has in this space")
    for params in _corners(space):
        space.config(params, seed=0, resolve=check)
    seen: dict[str, str] = {}
    for name in space.baselines:
        config = space.config(baseline_params(space, name), seed=0, resolve=check).to_json()
        if config in seen:
            raise UserError(f"baselines {seen[config]} and {name} are one and the same in this space: remove one")
        seen[config] = name


def check_space_data(space: Space, images: Images) -> None:
    """Raises UserError for data that not all trials could train on. The space has passed `check_space`."""
    configs = (space.base.override(params) for params in _corners(space))
    for config in {(config.model.model_dump_json(), config.train.batch): config for config in configs}.values():
        check_data(config, images)


def baseline_params(space: Space, name: str) -> dict[str, Any]:
    """Returns a recipe's values for the parameters of a space; raises UserError for a value outside a domain.

    An option that the recipe's loss or model does not have gets the value of the space's base.
    """
    values = {**resolve(space.base).flat(), **resolve(recipe(name).config).flat()}
    chosen: dict[str, Any] = {}
    for path in space.ordered:
        if not space.applies(path, chosen):
            continue
        value, domain = values.get(path), space.params[path].domain
        if not domain.contains(value):
            raise UserError(f"baseline {name}: {one_line(domain.outside(path, value))}; widen it")
        chosen[path] = value
    return chosen


def _corners(space: Space) -> list[dict[str, Any]]:
    """Returns parameters that cover every edge of every domain, and all categories of model and loss combined.

    Raises UserError where there are too many combinations to try.
    """
    edges = {path: _edges(parameter.domain) for path, parameter in space.params.items()}
    first = {path: ends[0] for path, ends in edges.items()}
    crossed = [path for path in edges if path.startswith(_BUILDING) and space.params[path].domain.is_categorical]
    corners: dict[str, dict[str, Any]] = {}
    for values in itertools.product(*(edges[path] for path in crossed)):
        _add(corners, space, first | dict(zip(crossed, values, strict=True)))
        if len(corners) > _MOST_COMBINATIONS:
            raise UserError(
                f"the categories of {', '.join(crossed)} combine in more than {_MOST_COMBINATIONS} ways, too many "
                "to check that all can be built: remove some"
            )
    # The largest batch with the most D steps: G must still get a turn.
    _add(corners, space, first | {path: max(edges[path]) for path in _STEPS if path in edges})
    for path, ends in edges.items():
        when = space.params[path].when
        condition = {when.path: when.equals} if when else {}
        for end in ends:
            _add(corners, space, first | condition | {path: end})
    return list(corners.values())


def _add(corners: dict[str, dict[str, Any]], space: Space, corner: Mapping[str, Any]) -> None:
    active = space.active(corner)
    corners[json.dumps(active, sort_keys=True)] = active


def _edges(domain: Domain) -> Sequence[Any]:
    if domain.is_categorical:
        return domain.choices
    low, high, step = domain.range.low, domain.range.high, domain.range.step
    if domain.name == "IntDistribution":
        every = range(int(low), int(high) + 1, int(step or 1))
        # Of a long range: the first two values, the last one, and some between.
        return sorted({*every[:2], *every[:: 1 + len(every) // _MOST_STEPS], every[-1]})
    # A number between, most likely no whole number, shows whether the option takes whole numbers only.
    between = low + (step or _GOLDEN * (high - low))
    return (low, min(between, high), high)
