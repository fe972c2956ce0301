"""Multivariate TPE (Watanabe 2023, https://doi.org/10.48550/arXiv.2304.11127), Optuna's."""

import warnings
from typing import Annotated

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, TPESampler
from pydantic import Field

from gansearch.registry import component
from gansearch.search.samplers.base import Sampler


@component
class TPE(Sampler):
    """Learns from the trials so far which parameters are good.

    Args:
        startup_trials: So many trials are drawn at random before.
    """

    startup_trials: Annotated[int, Field(ge=1)] = 6

    def build(self, seed: int) -> BaseSampler:
        with warnings.catch_warnings(category=ExperimentalWarning, action="ignore"):
            # Only with `group` does it honour conditions.
            return TPESampler(seed=seed, multivariate=True, group=True, n_startup_trials=self.startup_trials)
