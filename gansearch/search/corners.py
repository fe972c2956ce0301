"""The corners of a space: few configurations that stand for all that a search can propose."""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gansearch.errors import UserError
from gansearch.run.domain import Domain, is_among
from gansearch.run.space import Space

_BUILDING = ("model.", "loss.")  # options that decide whether G and D can be built
_STEPS = ("train.batch", "optim.d_steps")
_MOST_COMBINATIONS = 1024
_MOST_STEPS = 64
_GOLDEN = 0.618

Params = dict[str, Any]


def corners(space: Space) -> list[Params]:
    """Returns parameters that cover every edge of every domain, and all categories of model and loss combined.

    A conditional parameter is covered together with all values under which it applies, and a ratio together with the
    edges of its denominator. Combinations that the space forbids are left out.

    Raises:
        UserError: There are too many combinations to try, the conditions of a parameter exclude one another, or every
            trial is forbidden.
    """
    edges = {path: _edges(parameter.domain) for path, parameter in space.params.items()}
    first = {path: ends[0] for path, ends in edges.items()}
    found: dict[str, Params] = {}

    def add(fixed: Params) -> None:
        corner = _permitted(space, edges, first | fixed, frozenset(fixed))
        if corner is not None:
            active = space.active(corner)
            found[json.dumps(active, sort_keys=True)] = active

    add({})
    if not found:
        raise UserError(f"all trials of this space are forbidden, by {space.violated(first)}: remove or narrow that")
    for fixed in _combinations(space, edges, first):
        add(fixed)
    # The largest batch with the most D steps: G must still get a turn.
    most: Params = {}
    for path in (path for path in edges if path.startswith(_STEPS)):
        most |= next(_where_it_applies(space, path))
        most |= {key: max(edges[key]) for key in _with_denominators(space, path)}
    add(most)
    for path in edges:
        keys = _with_denominators(space, path)
        for condition in _where_it_applies(space, path):
            for values in itertools.product(*(edges[key] for key in keys)):
                add(condition | dict(zip(keys, values, strict=True)))
    return list(found.values())


def _combinations(space: Space, edges: Mapping[str, Sequence[Any]], first: Params) -> list[Params]:
    """Returns all combinations of the categories of model and loss, each with the categories that apply."""
    crossed = [
        path for path in space.ordered if path.startswith(_BUILDING) and space.params[path].domain.is_categorical
    ]
    combinations: list[Params] = [{}]
    for path in crossed:
        longer: list[Params] = []
        for fixed in combinations:
            applies = space.applies(path, first | fixed)
            longer += [fixed | {path: value} for value in edges[path]] if applies else [fixed]
        if len(longer) > _MOST_COMBINATIONS:
            raise UserError(
                f"the categories of {', '.join(crossed)} combine in more than {_MOST_COMBINATIONS} ways, too many "
                "to check that all can be built: remove some"
            )
        combinations = longer
    return combinations


def _where_it_applies(space: Space, path: str) -> Iterator[Params]:
    """Yields all values of the parameters on whose values it depends whether the one at `path` applies."""
    allowed: dict[str, list[Any]] = {}
    for when in space.conditions(path):
        allowed[when.path] = [v for v in allowed.get(when.path, when.among) if is_among(v, when.among)]
        if not allowed[when.path]:
            raise UserError(f"{path} never applies: its conditions on {when.path} exclude one another; change one")
    for values in itertools.product(*allowed.values()):
        yield dict(zip(allowed, values, strict=True))


def _with_denominators(space: Space, path: str) -> list[str]:
    """Returns `path` and, for a ratio, the parameter that sets its denominator, and so on."""
    chain = [path]
    while (denominator := space.denominator(chain[-1])) is not None:
        chain.append(denominator)
    return chain


def _permitted(
    space: Space, edges: Mapping[str, Sequence[Any]], corner: Params, fixed: frozenset[str]
) -> Params | None:
    """Returns `corner` with as many values changed as it takes that it is not forbidden; None where that can't be.

    The values of the parameters in `fixed` stay.
    """
    clause = space.violated(corner)
    if clause is None:
        return corner
    named = [path for path in clause.root if path in space.params]
    ancestors = [when.path for path in named for when in space.conditions(path)]
    for path in dict.fromkeys([*named, *ancestors]):
        if path in fixed:
            continue
        for value in edges[path]:
            changed = None
            if value != corner[path]:
                changed = _permitted(space, edges, corner | {path: value}, fixed | {path})
            if changed is not None:
                return changed
    return None


def _edges(domain: Domain) -> Sequence[Any]:
    if domain.is_categorical:
        return domain.choices
    low, high, step = domain.range.low, domain.range.high, domain.step
    if domain.name == "IntDistribution":
        every = range(int(low), int(high) + 1, int(step or 1))
        # Of a long range: the first two values, the last one, and some between.
        return sorted({*every[:2], *every[:: 1 + len(every) // _MOST_STEPS], every[-1]})
    # A number between, most likely no whole number, shows whether the option takes whole numbers only.
    return (low, domain.nearest(low + (step or _GOLDEN * (high - low))), high)
