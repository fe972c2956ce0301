"""ASHA (Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", algorithm 2), which promotes."""

import math
from bisect import insort
from collections.abc import Sequence
from itertools import pairwise

from gansearch.registry import component
from gansearch.search.ranked import discard
from gansearch.search.schedulers.base import GOES_ON, Policy, Ruling, Scheduler


class Rung:
    """The FIDs that trials had at one length, the lowest first, and who went on from there.

    Of n trials the best n / eta go on, rounded down, but the best always. What was among the best once and went on
    may be so no more when others have come, so a little more than one in eta goes on. With `strict` these others wait
    until as many have come as that takes.
    """

    def __init__(self, eta: int, *, strict: bool = False) -> None:
        self._eta, self._strict = eta, strict
        self._ranked: list[tuple[float, str]] = []
        self._waiting: list[tuple[float, str]] = []
        self._fids: dict[str, float] = {}
        self._gone_on: set[str] = set()

    def __len__(self) -> int:
        return len(self._ranked)

    @property
    def is_small(self) -> bool:
        """Whether too few trials came here to tell one in eta apart."""
        return len(self) < self._eta

    def add(self, trial_id: str, fid: float) -> None:
        """Adds a trial, which waits. A trial that is known changes nothing."""
        if trial_id not in self._fids:
            self._fids[trial_id] = fid
            insort(self._ranked, (fid, trial_id))
            insort(self._waiting, (fid, trial_id))

    def passed(self, trial_id: str) -> None:
        """The trial goes on from here. One that never came here changes nothing."""
        if trial_id in self._fids:
            self._gone_on.add(trial_id)
            self.ended(trial_id)

    def ended(self, trial_id: str) -> None:
        """The trial does not wait any more. One that never came here changes nothing."""
        if trial_id in self._fids:
            discard(self._waiting, (self._fids[trial_id], trial_id))

    def remove(self, trial_id: str) -> None:
        """Forgets a trial, so that another one can take its place. One that never came here changes nothing."""
        if trial_id in self._fids:
            entry = (self._fids.pop(trial_id), trial_id)
            discard(self._ranked, entry)
            discard(self._waiting, entry)
            self._gone_on.discard(trial_id)

    def cut(self) -> tuple[float, str]:
        """Returns the last trial that goes on."""
        allowed = len(self) // self._eta
        if self._strict and len(self._gone_on) >= allowed:
            allowed = 1
        return self._ranked[max(1, allowed) - 1]

    def best_waiting(self) -> tuple[float, str] | None:
        return self._waiting[0] if self._waiting else None

    def missing_at(self, other: "Rung") -> list[float]:
        """Returns the FIDs here of the trials that did not come to the other rung."""
        return [fid for fid, trial_id in self._ranked if trial_id not in other._fids]

    def ruling(self, trial_id: str) -> Ruling:
        cut = self.cut()
        goes_on = (self._fids[trial_id], trial_id) <= cut
        return Ruling("goes on" if goes_on else "waits", cut[0], len(self))


class Promotion(Policy):
    """A trial waits at every rung until it is among the best of those that came there.

    As long as a rung is small, its trials are compared with those of the shorter rungs too, each with its last FID.
    """

    def __init__(self, rungs: Sequence[int], eta: int) -> None:
        # From the last rung on a trial costs the most.
        self._rungs = {rung: Rung(eta, strict=rung == rungs[-2]) for rung in rungs[:-1]}

    def at(self, trial_id: str, images: int, fid: float) -> Ruling:
        rung = self._rungs.get(images)
        if rung is None:
            return GOES_ON
        rung.add(trial_id, fid)
        return self._ruling(trial_id, images)

    def _ruling(self, trial_id: str, images: int) -> Ruling:
        found, behind = self._rungs[images].ruling(trial_id), self._behind(images)
        lowest = min(behind, default=math.inf)
        if found.cut is None or found.cut <= lowest:
            return found
        return Ruling("waits", lowest, found.compared + len(behind), len(behind))

    def _behind(self, images: int) -> list[float]:
        """Returns the last FIDs of the trials that came to shorter rungs only; none if the rung is not small."""
        if not self._rungs[images].is_small:
            return []
        up_to_here = [rung for length, rung in self._rungs.items() if length <= images]
        return [fid for rung, longer in pairwise(up_to_here) for fid in rung.missing_at(longer)]

    def passed(self, trial_id: str, images: int) -> None:
        if images in self._rungs:
            self._rungs[images].passed(trial_id)

    def ended(self, trial_id: str) -> None:
        for rung in self._rungs.values():
            rung.ended(trial_id)

    def lost(self, trial_id: str) -> None:
        for rung in self._rungs.values():
            rung.remove(trial_id)

    def promote(self) -> tuple[str, int, Ruling] | None:
        for images, rung in reversed(self._rungs.items()):
            if (best := rung.best_waiting()) and (ruling := self._ruling(best[1], images)).verdict == "goes on":
                return best[1], images, ruling
        return None

    def release(self) -> tuple[str, int, Ruling] | None:
        for images, rung in reversed(self._rungs.items()):
            best = rung.best_waiting()
            if best is not None and rung.is_small and best[0] <= min(self._behind(images), default=math.inf):
                return best[1], images, Ruling("goes on", None, len(rung))
        return None


@component
class ASHA(Scheduler):
    """A trial waits at each rung, and goes on once it is among the best 1 / eta of the FIDs there.

    Nobody is stopped for good: a trial that waits can still be promoted when more have come. Where fewer than eta have
    come to a rung, its best goes on, so that a search soon has a trial of full length, unless a trial of a shorter rung
    has a lower FID already. What such a rung still has at the end of the search goes on too, on the same condition.
    """

    def policy(self, rungs: Sequence[int], eta: int) -> Policy:
        return Promotion(rungs, eta)
