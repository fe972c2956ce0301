"""Random search."""

from optuna.samplers import BaseSampler, RandomSampler

from gansearch.registry import component
from gansearch.search.samplers.base import Sampler


@component
class Random(Sampler):
    """Draws every parameter from its domain, whatever the trials so far have shown."""

    def build(self, seed: int) -> BaseSampler:
        return RandomSampler(seed=seed)
