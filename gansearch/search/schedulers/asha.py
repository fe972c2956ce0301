"""ASHA (Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", algorithm 2), which promotes."""

import math
from bisect import bisect_left, insort
from collections.abc import Sequence

from gansearch.registry import component
from gansearch.search.schedulers.base import GOES_ON, Policy, Ruling, Scheduler


class Rung:
    """The FIDs that trials had at one length, the lowest first, and who went on from there."""

    def __init__(self, eta: int) -> None:
        self._eta = eta
        self._ranked: list[tuple[float, str]] = []
        self._waiting: list[tuple[float, str]] = []
        self._fids: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._ranked)

    def add(self, trial_id: str, fid: float) -> None:
        """Adds a trial, which waits. A trial that is known changes nothing."""
        if trial_id not in self._fids:
            self._fids[trial_id] = fid
            insort(self._ranked, (fid, trial_id))
            insort(self._waiting, (fid, trial_id))

    def passed(self, trial_id: str) -> None:
        """The trial does not wait any more. One that never came here changes nothing."""
        entry = (self._fids.get(trial_id, math.nan), trial_id)
        index = bisect_left(self._waiting, entry)
        if self._waiting[index : index + 1] == [entry]:
            del self._waiting[index]

    def cut(self, at_least: int = 0) -> tuple[float, str] | None:
        """Returns the last that goes on: one trial in eta, rounded down, but `at_least` so many. None: nobody does."""
        passing = max(at_least, len(self) // self._eta)
        return self._ranked[passing - 1] if passing else None

    def best_waiting(self) -> tuple[float, str] | None:
        return self._waiting[0] if self._waiting else None

    def ruling(self, trial_id: str, cut: tuple[float, str] | None) -> Ruling:
        goes_on = cut is not None and (self._fids[trial_id], trial_id) <= cut
        return Ruling("goes on" if goes_on else "waits", cut[0] if cut else None, len(self))


class Promotion(Policy):
    """A trial waits at every rung until it is among the best of those that came there."""

    def __init__(self, rungs: Sequence[int], eta: int) -> None:
        self._rungs = {rung: Rung(eta) for rung in rungs[:-1]}

    def at(self, trial_id: str, images: int, fid: float) -> Ruling:
        rung = self._rungs.get(images)
        if rung is None:
            return GOES_ON
        rung.add(trial_id, fid)
        return rung.ruling(trial_id, rung.cut())

    def passed(self, trial_id: str, images: int) -> None:
        if images in self._rungs:
            self._rungs[images].passed(trial_id)

    def promote(self, *, last: bool) -> tuple[str, int, Ruling] | None:
        for images, rung in reversed(self._rungs.items()):
            best, cut = rung.best_waiting(), rung.cut(at_least=int(last))
            if best is not None and cut is not None and best <= cut:
                return best[1], images, rung.ruling(best[1], cut)
        return None


@component
class ASHA(Scheduler):
    """A trial waits at each rung, and goes on once it is among the best 1 / eta of the FIDs there.

    No trial is stopped by chance: who waits can still be promoted when more have come. When nothing is left to propose
    the best trial of each rung goes on, however few there are, so a search does not end without a trial of full length.
    """

    def policy(self, rungs: Sequence[int], eta: int) -> Policy:
        return Promotion(rungs, eta)
