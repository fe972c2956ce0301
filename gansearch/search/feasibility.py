"""Checks before a search starts that every trial that a space can propose can also be built and trained."""

import math
from collections.abc import Mapping
from typing import Any

from gansearch.data.base import Images
from gansearch.errors import UserError, kind_and_message, one_line, unknown
from gansearch.recipes import recipe
from gansearch.registry import SECTIONS, build, resolve
from gansearch.run import Plan
from gansearch.run.domain import Domain, as_typed, is_among
from gansearch.run.space import Clause, Condition, Space, ratio
from gansearch.search.corners import corners
from gansearch.search.drawing import draw, draw_at_random, is_one_configuration
from gansearch.search.history import History
from gansearch.search.samplers.base import Sampler
from gansearch.training.feasibility import check, check_data

# Options that would make the FIDs of two trials incomparable, or put evaluations at different kimg.
_NOT_SEARCHABLE = ("seed", "data.", "metrics.", "artifacts.", "train.max_kimg", "train.evaluations")
# Options that differ between the trials of one configuration: finals have other seeds, `extend` makes trials longer.
_NO_DENOMINATORS = ("seed", "train.max_kimg", "train.evaluations")
_RATIO_DIGITS = 12


def check_components(plan: Plan) -> None:
    """Refuses a search whose sampler, scheduler or loggers can't be built, or whose sampler proposes nothing.

    Raises:
        UserError: A name or an option is wrong, or the first proposal fails.
    """
    options = plan.options
    sampler: Sampler = build("sampler", options.sampler)
    if options.scheduler is not None:
        build("scheduler", options.scheduler)
    names = [logger.name for logger in options.loggers]
    for logger in options.loggers:
        build("logger", logger)
        if names.count(logger.name) > 1:
            raise UserError(f"logger {logger.name} is given twice: give it once")
    try:
        draw(plan.space, History(plan.rungs), sampler, seed=0)
    except UserError:
        raise
    except Exception as error:  # a sampler may be the user's code: whatever is wrong in it is the user's to fix
        raise UserError(f"sampler {options.sampler.name}: {kind_and_message(error)}") from error


def check_variety(plan: Plan) -> None:
    """Raises UserError for a search of several trials that would all be the same."""
    if plan.options.trials != 1 and is_one_configuration(plan.space):
        raise UserError("no option is searched, so all trials would be the same: search one, or give --trials 1")


def check_space(space: Space) -> None:
    """Refuses a space that can't be searched. No data is needed.

    Raises:
        UserError: A path is no option or must not be searched, a ratio is not one of two numbers, a condition or a
            forbidden combination can never hold, all trials are forbidden, some values can't be built, or a baseline
            lies outside a domain or is forbidden.
    """
    fixed = resolve(space.base).flat()
    check_values(space)
    for path, parameter in space.params.items():
        if path.startswith(_NOT_SEARCHABLE):
            raise UserError(f"{path} can't be searched: trials would not be comparable; set it in the space's base")
        if parameter.when is not None:
            _check_condition(space, path, parameter.when)
        if ratio(path) is not None:
            _check_ratio(space, path, fixed)
    for clause in space.forbidden:
        _check_clause(space, clause, fixed)
    for params in corners(space):
        check(space.config(params, seed=0, resolve=resolve))
    draw_at_random(space, seed=0)
    _check_baselines(space)


def check_choice(space: Space) -> None:
    """Raises UserError for a parameter of a space, as it is written, that leaves nothing to choose."""
    for path, parameter in space.params.items():
        if parameter.domain.is_single:
            value = as_typed(parameter.domain.first)
            raise UserError(
                f"{path} has the one value {value}, which leaves nothing to search: give it another, or set "
                f"{path}={value} in the space's base"
            )


def check_values(space: Space) -> None:
    """Raises UserError for a condition or a forbidden combination on a value that its parameter never has."""
    for path, parameter in space.params.items():
        when = parameter.when
        if when is None or when.path not in space.params:
            continue
        for value in when.among:
            if not _has(space.params[when.path].domain, value):
                raise UserError(
                    f"{path} applies when {when.path}={value}, a value that {when.path} never has in this space"
                )
    for clause in space.forbidden:
        for path, values in clause.root.items():
            for value in values:
                if path in space.params and not _has(space.params[path].domain, value):
                    raise UserError(f"forbidden {path}={value} is a value that {path} never has in this space")


def _has(domain: Domain, value: Any) -> bool:
    """Returns whether a domain has exactly this value: 3 * 0.1 is not the 0.3 that a range with steps has."""
    return domain.contains(value) and (domain.is_categorical or domain.nearest(value) == value)


def check_space_data(space: Space, images: Images) -> None:
    """Raises UserError for data that not all trials could train on. The space has passed `check_space`."""
    configs = (space.config(params, seed=0, resolve=resolve) for params in corners(space))
    for config in {(config.model.model_dump_json(), config.train.batch): config for config in configs}.values():
        check_data(config, images)


def _check_condition(space: Space, path: str, when: Condition) -> None:
    if when.path not in space.params:
        raise UserError(f"{path} depends on {when.path}, which is no parameter of the space: search it, or drop When")
    if ratio(when.path):
        raise UserError(f"{path} depends on {when.path}: a condition names a parameter that is no ratio")
    if space.params[when.path].domain.is_continuous:
        raise UserError(f"{path} applies when {when}, which is practically never drawn: give {when.path} steps")


def _check_ratio(space: Space, path: str, fixed: Mapping[str, Any]) -> None:
    """Refuses a ratio that is not one of two numbers. `fixed` are the options of the base."""
    numerator, _, denominator = path.partition("/")
    if space.params[path].domain.is_categorical:
        raise UserError(f"{path} is a ratio and needs a range of numbers, not categories")
    rivals = [other for other in space.params if other != path and other.partition("/")[0] == numerator]
    if rivals:
        raise UserError(f"{numerator} is searched twice, as {path} and as {rivals[0]}: remove one of them")
    if denominator in _NO_DENOMINATORS:
        raise UserError(f"{path}: {denominator} is not the same for all trials; take another option")
    for option in (numerator, denominator):
        if option in fixed and not _is_number(fixed[option]):
            raise UserError(f"{path}: {option}={fixed[option]} is no number, so it has no ratio; remove {path}")
    setter = space.denominator(path)
    if setter is not None and space.params[setter].domain.is_categorical:
        raise UserError(f"{path} is a ratio to a category, {setter}: give {setter} a range of numbers")


def _check_clause(space: Space, clause: Clause, fixed: Mapping[str, Any]) -> None:
    """Refuses a clause that can never hold, or that always does. `fixed` are the options of the base."""
    for path, values in clause.root.items():
        if path in space.params:
            if ratio(path) or space.params[path].domain.is_continuous:
                raise UserError(
                    f"forbidden {path}: its single values are practically never drawn; narrow its domain instead"
                )
            continue
        if path not in fixed:
            raise unknown("option in a forbidden combination:", path, {*space.params, *fixed})
        section = path.partition(".")[0]
        if section in SECTIONS and f"{section}.name" in space.params:
            raise UserError(f"forbidden {clause}: not every {section} has {path}; name {section}.name in its place")
        if not is_among(fixed[path], values):
            raise UserError(f"forbidden {clause} never holds: {path} is not searched and is {fixed[path]}; remove it")
    if not any(path in space.params for path in clause.root):
        raise UserError(f"forbidden {clause} holds for all trials: none of these is searched; remove it")


def _check_baselines(space: Space) -> None:
    seen: dict[str, str] = {}
    for name in space.baselines:
        params = baseline_params(space, name)
        if clause := space.violated(params):
            raise UserError(f"baseline {name} is forbidden in this space, by {clause}: remove one of the two")
        config = check(space.config(params, seed=0, resolve=resolve)).to_json()
        if config in seen:
            raise UserError(f"baselines {seen[config]} and {name} are one and the same in this space: remove one")
        seen[config] = name


def baseline_params(space: Space, name: str) -> dict[str, Any]:
    """Returns a recipe's values for the parameters of a space; raises UserError for a value outside a domain.

    An option that the recipe's loss or model does not have gets the value of the space's base. A parameter with a
    single value, as `--set` leaves it, gets this value.
    """
    values = {**resolve(space.base).flat(), **resolve(recipe(name).config).flat()}
    chosen: dict[str, Any] = {}
    for path in space.ordered:
        if not space.applies(path, chosen):
            continue
        parts, domain = ratio(path), space.params[path].domain
        for option in parts or (path,):
            if option not in values:
                raise unknown("option", option, values)
        if domain.is_single:
            value = domain.first
        else:
            value = values.get(path) if parts is None else _quotient(name, path, *map(values.get, parts))
        if not domain.contains(value):
            raise UserError(f"baseline {name}: {one_line(domain.outside(path, value))}; widen it")
        chosen[path] = value if domain.is_categorical else domain.nearest(value)
    return chosen


def _quotient(name: str, path: str, numerator: Any, denominator: Any) -> float:
    """Returns a recipe's ratio of two options, without the noise of binary fractions: 0.3, not 0.30000000000000004."""
    if not (_is_number(numerator) and _is_number(denominator) and denominator) or not math.isfinite(
        numerator / denominator
    ):
        raise UserError(
            f"baseline {name}: {path} is {numerator}/{denominator}, which is no number; remove the baseline"
        )
    return float(f"{numerator / denominator:.{_RATIO_DIGITS}g}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
