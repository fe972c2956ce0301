"""The base class of schedulers: what decides at an evaluation whether a trial goes on, waits or stops."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from gansearch.registry import component
from gansearch.run.rows import Verdict


@dataclass(frozen=True)
class Ruling:
    """What a policy says of a trial.

    Args:
        verdict: `goes on`, `waits` (for its promotion) or `stops`.
        cut: The highest FID that goes on; None where there is none yet.
        compared: How many FIDs were compared, the trial's own included; 0 where nothing was, which is not recorded.
        behind: How many of these are of trials that trained less than this one.
    """

    verdict: Verdict
    cut: float | None = None
    compared: int = 0
    behind: int = 0


GOES_ON = Ruling("goes on")


class Policy(ABC):
    """The memory of one driver's scheduler.

    When a search is resumed, a new policy first sees the earlier evaluations, in order, after each its `passed` where
    the trial went on, and `lost` where it came to nothing, so a policy needs no state on the disk. A trial that
    continues another one has the id of the other.
    """

    @abstractmethod
    def at(self, trial_id: str, images: int, fid: float) -> Ruling:
        """Rules on a trial at an evaluation before its full length.

        Args:
            trial_id: The trial.
            images: How many real images it was shown so far.
            fid: The FID of that evaluation. The same evaluation may come twice, with the same `fid`.
        """

    def passed(self, trial_id: str, images: int) -> None:  # noqa: B027 - a policy without promotion needs none
        """Notes that a trial went on from a length, whatever `at` says of that."""

    def ended(self, trial_id: str) -> None:  # noqa: B027
        """Notes that a trial came to its full length, where it waits for nothing.

        If the search is extended, this length may be a rung, and the trial may be continued beyond it.
        """

    def lost(self, trial_id: str) -> None:  # noqa: B027 - a policy may hold that trial's FIDs for valid nevertheless
        """Notes that a trial diverged or failed after it went on, so that nobody has to wait behind it."""

    def promote(self) -> tuple[str, int, Ruling] | None:
        """Returns a waiting trial that goes on now, with its length and the ruling; None where there is none.

        It is called whenever a slot is free, before a new trial is proposed.
        """
        return None

    def release(self) -> tuple[str, int, Ruling] | None:
        """Returns a waiting trial that was compared with too few others to be stopped; None where there is none.

        It is called where nothing trains and nothing else is to start.
        """
        return None


@component
class Scheduler(ABC):
    """Options from which a policy is built. `--scheduler NAME --set scheduler.OPTION=VALUE` chooses it."""

    @abstractmethod
    def policy(self, rungs: Sequence[int], eta: int) -> Policy:
        """Returns the policy of one driver.

        Args:
            rungs: The images at which trials are compared, the full length last.
            eta: About one trial in `eta` shall pass a rung.
        """
