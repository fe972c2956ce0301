"""`--sampler MODULE:CLASS` for a sampler of Optuna's, such as `optuna.samplers:GPSampler`."""

import inspect
import warnings
from functools import cache
from typing import Any, ClassVar

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler

from gansearch.registry import component, from_signature
from gansearch.search.samplers.base import Sampler


@component
class OptunaSampler(Sampler):
    """A sampler whose options are the arguments of an Optuna sampler."""

    made: ClassVar[type[BaseSampler]]

    def build(self, seed: int) -> BaseSampler:
        arguments = dict(vars(self))
        if "seed" in inspect.signature(self.made).parameters:
            arguments["seed"] = seed
        with warnings.catch_warnings(category=ExperimentalWarning, action="ignore"):
            return self.made(**arguments)


@cache
def adapt(found: Any) -> type[Sampler] | None:
    """Returns a component for a subclass of Optuna's `BaseSampler`, None for anything else."""
    if not (inspect.isclass(found) and issubclass(found, BaseSampler)):
        return None
    return from_signature(found, OptunaSampler, given={"seed"})
