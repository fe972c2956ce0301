"""The base class of samplers: what proposes the parameters of a trial."""

from abc import ABC, abstractmethod

from optuna.samplers import BaseSampler

from gansearch.registry import component


@component
class Sampler(ABC):
    """Options from which an Optuna sampler is built. `--sampler NAME --set sampler.OPTION=VALUE` chooses it."""

    @abstractmethod
    def build(self, seed: int) -> BaseSampler:
        """Builds the sampler that proposes one trial.

        It is built anew for each trial, from a `seed` that the search and the number of the trial decide. So a search
        that is resumed proposes what one without a break would. All it may know lies in the study: the trials so far,
        with the FID of each evaluation as an intermediate value at the images shown.
        """
