"""Random search."""

from typing import Any

from gansearch.registry import component
from gansearch.run.space import Space
from gansearch.search.drawing import draw_at_random
from gansearch.search.history import History
from gansearch.search.samplers.base import Sampler


@component
class Random(Sampler):
    """Draws every parameter from its domain, whatever the trials so far have shown."""

    def propose(self, space: Space, history: History, seed: int) -> dict[str, Any]:
        return draw_at_random(space, seed)
