"""The base class of schedulers: what decides at an evaluation whether a trial goes on."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from gansearch.registry import component

Policy = Callable[[str, int, float], bool]
"""Called with a trial's id, the images it was shown and its FID; returns whether the trial goes on."""


@component
class Scheduler(ABC):
    """Options from which a policy is built. `--scheduler NAME --set scheduler.OPTION=VALUE` chooses it."""

    @abstractmethod
    def policy(self, rungs: Sequence[int], eta: int) -> Policy:
        """Returns the policy of one driver. It is called at every evaluation before the full length, in order.

        When a search is resumed, a new policy is first called with the evaluations so far. A trial that continues
        another one has the id of the other, and a call may come twice.

        Args:
            rungs: The images at which trials are compared, the full length last.
            eta: About one trial in `eta` shall pass a rung.
        """
