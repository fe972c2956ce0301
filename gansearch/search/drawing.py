"""Draws the parameters of a trial: by a sampler, or at random."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from gansearch.errors import UserError, one_line
from gansearch.run.space import Space
from gansearch.search.history import History
from gansearch.search.samplers.base import Sampler
from gansearch.search.unit_cube import UnitCube

_DRAWS = 32  # of the sampler, until one is not forbidden
_RANDOM_DRAWS = 2000


def draw(space: Space, history: History, sampler: Sampler, seed: int) -> dict[str, Any] | None:
    """Returns parameters for the next trial: none that are forbidden, and none that a trial has.

    All trials of a search have one seed, so equal parameters would train equally. None means that neither the sampler
    nor a large number of random draws finds new ones: the space has only those that were tried.

    Raises:
        UserError: The sampler proposes what is outside the space, or all random draws are forbidden.
    """
    for again in range(_DRAWS):
        params = propose(space, history, sampler, (seed + again * 0x9E3779B1) % 2**32)
        if space.violated(params) is None and not history.knows(params):
            return params
    draw_at_random(space, seed)  # raises where all draws are forbidden, which is no lack of new ones
    return next((params for params in _allowed(space, seed) if not history.knows(params)), None)


def propose(space: Space, history: History, sampler: Sampler, seed: int) -> dict[str, Any]:
    """Returns what a sampler proposes, its numbers as the domains write them.

    Raises:
        UserError: A value is outside its domain, a parameter is missing, or one is given that does not apply.
    """
    params = sampler.propose(space, history, seed)
    for path in space.ordered:
        domain = space.params[path].domain
        if (path in params) != space.applies(path, params):
            what = "without an effect" if path in params else "missing"
            raise UserError(f"the sampler proposes parameters of which {path} is {what}: {params}")
        if path in params and not domain.contains(params[path]):
            raise UserError(f"the sampler proposes another value: {one_line(domain.outside(path, params[path]))}")
        if path in params and not domain.is_categorical:
            params = params | {path: domain.nearest(params[path])}
    if surplus := params.keys() - space.params:
        raise UserError(f"the sampler proposes {surplus.pop()}, which the space does not have")
    return params


def draw_at_random(space: Space, seed: int) -> dict[str, Any]:
    """Returns parameters drawn uniformly from their domains, and drawn again while they are forbidden.

    Raises:
        UserError: A large number of draws in a row is forbidden.
    """
    if (found := next(_allowed(space, seed), None)) is not None:
        return found
    clause = space.violated(next(_draws(space, seed)))
    raise UserError(
        f"{_RANDOM_DRAWS} random trials of this space in a row are forbidden, for instance by {clause}: remove or "
        "narrow that"
    )


def is_one_configuration(space: Space) -> bool:
    """Returns whether all random draws are the same."""
    first = draw_at_random(space, 0)
    return all(params == first for params in _allowed(space, 1))


def _allowed(space: Space, seed: int) -> Iterator[dict[str, Any]]:
    """Yields those of a large number of random draws that are not forbidden."""
    return (params for params in _draws(space, seed) if space.violated(params) is None)


def _draws(space: Space, seed: int) -> Iterator[dict[str, Any]]:
    cube, rng = UnitCube(space), np.random.default_rng(seed)
    for _ in range(_RANDOM_DRAWS):
        yield cube.params(cube.draw(rng))
