"""The base class of samplers: what proposes the parameters of a trial."""

from abc import ABC, abstractmethod
from typing import Any

from gansearch.registry import component
from gansearch.run.space import Space
from gansearch.search.history import History


@component
class Sampler(ABC):
    """Options of what proposes trials. `--sampler NAME --set sampler.OPTION=VALUE` chooses it."""

    @abstractmethod
    def propose(self, space: Space, history: History, seed: int) -> dict[str, Any]:
        """Returns parameters for one trial: a value for each parameter that applies, by its path.

        A proposal depends on the arguments alone, so that a search that is resumed proposes what one without a break
        would. A proposal that the space forbids is drawn again, with another seed.

        Args:
            space: What is searched.
            history: What is known of the parameters tried so far.
            seed: Decided by the search and by the number of the trial.
        """
