"""TPE over rungs: kernel densities of good and of other trials, where most is known of the end."""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from gansearch.registry import component
from gansearch.run.space import Space
from gansearch.search.drawing import draw_at_random
from gansearch.search.history import History
from gansearch.search.parzen import Density
from gansearch.search.samplers.base import Sampler
from gansearch.search.unit_cube import UnitCube

_MOST_GOOD, _MOST_OTHERS = 32, 256  # trials: a proposal costs the same after a hundred thousand as after a thousand


@component
class TPE(Sampler):
    """Learns at the highest rung that enough trials have reached, so that it learns of those that were stopped too.

    The densities are those of BOHB (Falkner et al. 2018, https://arxiv.org/abs/1807.01774). Trials that diverged are
    among the worst everywhere. Trials that are running count as bad until they report, so that parallel proposals
    differ.

    Args:
        random_share: The share of proposals that are drawn at random.
        good_share: The share of the trials at a rung that are its good ones.
        candidates: So many points are drawn among the good ones; the one that is likeliest good is proposed.
    """

    random_share: Annotated[float, Field(ge=0, le=1)] = 0.1
    good_share: Annotated[float, Field(gt=0, lt=1)] = 0.15
    candidates: Annotated[int, Field(ge=1)] = 32
    width: Annotated[float, Field(gt=0)] = 0.2

    def propose(self, space: Space, history: History, seed: int) -> dict[str, Any]:
        rng = np.random.default_rng(seed)
        rung = history.highest_rung(len(space.params) + 2)
        if rung is None or rng.random() < self.random_share:
            return draw_at_random(space, seed)
        cube = UnitCube(space)
        good, others = (
            self._density(cube, [history.params[number] for number in numbers])
            for numbers in self._split(history, rung)
        )
        drawn = good.sample(self.candidates, rng)
        proposals = [cube.params(point) for point in drawn]
        allowed = [params for params in proposals if space.violated(params) is None]
        if not allowed:
            return draw_at_random(space, seed)
        points = cube.points(allowed)
        return allowed[int(np.argmax(good.log_density(points) - others.log_density(points)))]

    def _split(self, history: History, rung: int) -> tuple[list[int], list[int]]:
        """Returns the numbers of the good trials at a rung and those of the others."""
        fids = history.fids[rung]
        ranked = sorted(fids, key=lambda number: (fids[number], number))
        good = ranked[: min(_MOST_GOOD, max(2, math.ceil(self.good_share * len(ranked))))]
        lies = sorted(history.running - fids.keys())
        others = [*ranked[len(good) :], *sorted(history.diverged)]
        stride = max(1, math.ceil(len(others) / _MOST_OTHERS))
        return good, others[::-1][::stride] + lies

    def _density(self, cube: UnitCube, params: Sequence[Mapping[str, Any]]) -> Density:
        spread = max(1, len(params)) ** (-1 / (len(cube.paths) + 4))
        return Density(cube, cube.points(params), self.width * spread, stray=0.3 * spread)
