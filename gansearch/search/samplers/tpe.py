"""TPE over rungs: kernel densities of good and of other trials, at every length where enough trials were compared."""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field

from gansearch.registry import component
from gansearch.run.space import Space
from gansearch.search.drawing import draw_at_random
from gansearch.search.history import History
from gansearch.search.parzen import Density
from gansearch.search.samplers.base import Sampler
from gansearch.search.unit_cube import Points, UnitCube

_MOST_GOOD, _MOST_OTHERS = 32, 256  # trials: a proposal costs the same after a hundred thousand as after a thousand
_WIDTH, _STRAY = 0.2, 0.3  # of the kernels around few trials


class _Model(NamedTuple):
    """What is known at a rung: the density of its good trials, and that of the others."""

    good: Density
    others: Density

    def log_ratio(self, points: Points) -> np.ndarray:
        return self.good.log_density(points) - self.others.log_density(points)


@component
class TPE(Sampler):
    """Learns which parameters are good at each rung that enough trials reached, and so from those that were stopped.

    At a rung the good trials are those with the lowest FIDs. The others there, those that did not come so far and those
    that diverged are compared with them. Trials that are running count among these until they report, so that parallel
    proposals differ. Long trials tell more of the end, but there are few of them: what a rung says counts with the root
    of its length.

    The densities are those of BOHB (Falkner et al. 2018, https://arxiv.org/abs/1807.01774), which has them at one rung.

    Args:
        random_share: The share of proposals that are drawn at random.
        good_share: The share of the trials at a rung that are its good ones.
        candidates: So many points are drawn around good trials; the one that is likeliest good is proposed.
    """

    random_share: Annotated[float, Field(ge=0, le=1)] = 0.1
    good_share: Annotated[float, Field(gt=0, lt=1)] = 0.15
    candidates: Annotated[int, Field(ge=1, le=10**4)] = 32

    def propose(self, space: Space, history: History, seed: int) -> dict[str, Any]:
        rng = np.random.default_rng(seed)
        enough = len(space.params) + 2
        rungs = [rung for rung in history.rungs if len(history.fids[rung]) >= enough]
        if not rungs or rng.random() < self.random_share:
            return draw_at_random(space, seed)
        cube = UnitCube(space)
        models = [self._model(cube, history, rung) for rung in rungs]
        count = math.ceil(self.candidates / len(models))
        drawn = [cube.params(point) for model in models for point in model.good.sample(count, rng)]
        allowed = [params for params in drawn if space.violated(params) is None]
        if not allowed:
            return draw_at_random(space, seed)
        points = cube.points(allowed)
        says = [math.sqrt(rung) * model.log_ratio(points) for rung, model in zip(rungs, models, strict=True)]
        return allowed[int(np.argmax(sum(says)))]

    def _model(self, cube: UnitCube, history: History, rung: int) -> _Model:
        good, others = self._split(history, rung)
        return _Model(*(_density(cube, [history.params[number] for number in numbers]) for numbers in (good, others)))

    def _split(self, history: History, rung: int) -> tuple[list[int], list[int]]:
        """Returns the numbers of the good trials at a rung, and of the others, of which the worst are the last."""
        ranked, diverged = history.ranked(rung), history.diverged
        reached = history.fids[rung]
        num_good = min(_MOST_GOOD, max(2, math.ceil(self.good_share * len(reached))))
        stride = math.ceil((len(ranked) - num_good + len(diverged)) / _MOST_OTHERS) or 1
        good = [number for _, number in ranked[:num_good]]
        others = [number for _, number in ranked[num_good::stride]]
        running = [number for number in sorted(history.running) if number not in reached]
        return good, [*others, *diverged[::stride], *running]


def _density(cube: UnitCube, params: Sequence[Mapping[str, Any]]) -> Density:
    spread = max(1, len(params)) ** (-1 / (len(cube.paths) + 4))  # Scott's rule
    return Density(cube, cube.points(params), _WIDTH * spread, _STRAY * spread)
