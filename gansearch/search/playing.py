"""Plays the rest of a search on some slots, from what is known of its trials, in a moment."""

import heapq
import random
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count

_PRIOR = 8.0  # trials that went on: what the simulated search counts for beside those of this search


@dataclass(frozen=True)
class Job:
    """A trial that trains, waits or is to begin.

    Args:
        images: The images that it was shown.
        pace: Its seconds from one evaluation to the next; None where they are not known.
        elapsed: The seconds since its last evaluation; None where it does not train now.
    """

    images: int
    pace: float | None = None
    elapsed: float | None = None


class Gate:
    """A rung in one game. As trials come, others go on: as many as in a simulated search, times a factor.

    The factor is drawn from a gamma distribution: the passes of a simulated search are the mean of a Poisson
    distribution, of which the passes of this search are one draw.

    Args:
        prior: How many trials have gone on when 0, 1, ... came here, in a simulated search.
        reached: How many came here so far.
        passed: How many went on so far.
        lost: How many diverged or failed on the way here.
        waiting: Those that wait here. So far none of them was to go on, but some do where fewer than `few` came here.
        few: So many trials can be compared.
        rng: Draws the factor.
    """

    def __init__(
        self,
        prior: Sequence[float],
        reached: int,
        passed: int,
        lost: int,
        waiting: Sequence[Job],
        few: int,
        rng: random.Random,
    ) -> None:
        self._prior, self._reached, self._waiting = prior, reached, list(waiting)
        self.loss = lost / (lost + reached) if lost else 0.0
        expected = self._expected(reached)
        self._factor = rng.gammavariate(_PRIOR + passed, 1 / (_PRIOR + expected))
        self._due = rng.random()  # a fraction of a trial is one or none
        if reached < few:
            self._due += max(0.0, self._factor * expected - passed)

    def _expected(self, reached: int) -> float:
        """Returns how many of those have gone on in a simulated search. Beyond its end it goes on at its mean rate."""
        last = len(self._prior) - 1
        if reached <= last or not last:
            return self._prior[min(reached, last)]
        return self._prior[last] * reached / last

    def arrive(self, job: Job) -> None:
        """Lets a trial wait here; another one, or this one, goes on for it by and by."""
        self._due += self._factor * (self._expected(self._reached + 1) - self._expected(self._reached))
        self._reached += 1
        self._waiting.append(job)

    def promote(self) -> Job | None:
        """Returns a trial that goes on now; None where there is none."""
        if not self._waiting or self._due < 1:
            return None
        self._due -= 1
        return self._waiting.pop()


def play(
    started: Sequence[Job],
    new: Sequence[Job],
    gates: Sequence[Gate],
    rungs: Sequence[int],
    slots: int,
    seconds: Callable[[Job, int], tuple[float, float]],
    rng: random.Random,
) -> float:
    """Plays the rest of a search once, and returns the seconds that it takes.

    A slot that is free takes a trial that has started before, else one that goes on from a rung, else a new one.

    Args:
        started: The trials that train, or did when their driver was killed.
        new: The trials that are to begin, in their order.
        gates: For each rung, the full length too.
        rungs: The images of the rungs.
        slots: How many trials run at once.
        seconds: Returns how long a job takes to so many images, and its pace.
        rng: Decides which trials are lost.
    """
    first, rest = list(reversed(started)), list(reversed(new))
    events: list[tuple[float, int, int, Job]] = []
    order = count()  # decides between events of the same time
    now = 0.0

    def next_job() -> Job | None:
        if first:
            return first.pop()
        promoted = (gate.promote() for gate in reversed(gates[:-1]))
        return next((job for job in promoted if job is not None), None) or (rest.pop() if rest else None)

    while True:
        while len(events) < slots and (job := next_job()) is not None:
            rung = min(bisect_right(rungs, job.images), len(rungs) - 1)
            took, pace = seconds(job, rungs[rung])
            if rng.random() < gates[rung].loss:
                took, rung = took * rng.random(), len(rungs) - 1
            heapq.heappush(events, (now + took, next(order), rung, Job(rungs[rung], pace)))
        if not events:
            return now
        now, _, rung, job = heapq.heappop(events)
        if rung < len(rungs) - 1:
            gates[rung].arrive(job)
