"""Draws the parameters of a trial: by a sampler, or at random."""

from typing import Any

import numpy as np

from gansearch.errors import UserError
from gansearch.run.space import Space
from gansearch.search.history import History
from gansearch.search.samplers.base import Sampler
from gansearch.search.unit_cube import UnitCube

_DRAWS = 32  # of the sampler, until one is not forbidden
_RANDOM_DRAWS = 2000


def draw(space: Space, history: History, sampler: Sampler, seed: int) -> dict[str, Any]:
    """Returns a sampler's proposal for the next trial, which is never a forbidden combination.

    Raises:
        UserError: Neither the sampler nor random draws find parameters that are not forbidden.
    """
    for again in range(_DRAWS):
        params = sampler.propose(space, history, (seed + again * 0x9E3779B1) % 2**32)
        if space.violated(params) is None:
            return params
    return draw_at_random(space, seed)


def draw_at_random(space: Space, seed: int) -> dict[str, Any]:
    """Returns parameters drawn uniformly from their domains, and drawn again while they are forbidden.

    Raises:
        UserError: A large number of draws in a row is forbidden.
    """
    cube, rng = UnitCube(space), np.random.default_rng(seed)
    for _ in range(_RANDOM_DRAWS):
        params = cube.params(cube.draw(rng))
        clause = space.violated(params)
        if clause is None:
            return params
    raise UserError(
        f"{_RANDOM_DRAWS} random trials of this space in a row are forbidden, for instance by {clause}: remove or "
        "narrow that"
    )
