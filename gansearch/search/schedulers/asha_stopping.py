"""ASHA of the stopping type, of which Ray Tune's is one: a trial that is not among the best of a rung ends at once."""

from collections.abc import Sequence

from gansearch.registry import component
from gansearch.search.schedulers.asha import Rung
from gansearch.search.schedulers.base import GOES_ON, Policy, Ruling, Scheduler


class Stopping(Policy):
    """A trial goes on if it is among the best of those that came to its rung so far; the first eta all do."""

    def __init__(self, rungs: Sequence[int], eta: int) -> None:
        self._rungs, self._eta = {rung: Rung(eta) for rung in rungs[:-1]}, eta
        self._rulings: dict[tuple[str, int], Ruling] = {}

    def at(self, trial_id: str, images: int, fid: float) -> Ruling:
        rung = self._rungs.get(images)
        if rung is None:
            return GOES_ON
        if (trial_id, images) not in self._rulings:
            rung.add(trial_id, fid)
            self._rulings[trial_id, images] = self._ruling(rung, trial_id)
        return self._rulings[trial_id, images]

    def lost(self, trial_id: str) -> None:
        for rung in self._rungs.values():
            rung.remove(trial_id)

    def _ruling(self, rung: Rung, trial_id: str) -> Ruling:
        if len(rung) <= self._eta:
            return Ruling("goes on", None, len(rung))
        found = rung.ruling(trial_id)
        return found if found.verdict == "goes on" else Ruling("stops", found.cut, found.compared)


@component
class ASHAStopping(Scheduler):
    """A trial stops at a rung unless it is among the best 1 / eta of the FIDs that came there before it.

    It decides earlier than `asha` and hands out no trial twice, for trainers whose checkpoints are expensive to move.
    """

    def policy(self, rungs: Sequence[int], eta: int) -> Policy:
        return Stopping(rungs, eta)
