"""How long a search still takes: the rest of it is played, at the speed and with the survival that its rows show."""

import heapq
import math
import random
import time
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count

from gansearch.errors import UserError, one_line
from gansearch.logs import warn_once
from gansearch.run.ledger import Ledger
from gansearch.run.manifest import Plan
from gansearch.run.rows import Start
from gansearch.search.cost import expected_cost
from gansearch.search.pace import Pace, Survival
from gansearch.search.queue import Proposal, TrialQueue

_GAMES = 24
_MOST_NEW = 2000  # trials of one game
_PRIOR = 4  # trials that came to a rung: what the simulated search counts for beside those of this search
_SHARE = 0.02  # of a driver's time
_PATIENCE = 5  # seconds without a new row until an estimate is made anew
_TAIL = 0.1  # of the games at each end lie outside the range


@dataclass(frozen=True)
class TimeLeft:
    """The seconds until a search ends: a range, and the median. `by_budget` says that a budget ends it for certain."""

    low: float
    middle: float
    high: float
    by_budget: bool = False

    def after(self, seconds: float) -> "TimeLeft":
        """Returns what is left of this some seconds later."""
        low, middle, high = (max(0.0, value - seconds) for value in (self.low, self.middle, self.high))
        return TimeLeft(low, middle, high, self.by_budget)


@dataclass(frozen=True)
class _Job:
    """A trial that trains, or is to: from how many images, and the seconds of one evaluation, None if not known.

    `elapsed` are the seconds since its last evaluation, None where it has not begun yet.
    """

    images: int
    pace: float | None = None
    elapsed: float | None = None


class Remaining:
    """Estimates how long one driver still has to work.

    It follows the driver's ledger and queue. The rest of the search is played several times on the driver's slots. A
    trial takes the seconds an evaluation that trials of this driver took. At a rung as many go on as have so far, where
    the prior is a simulation of the whole search with its own scheduler.

    Args:
        plan: The plan of the driver.
        ledger: The ledger, with the rows of earlier drivers.
        queue: What the driver still has to train.
        slots: How many trials run at once.
        gpus: The share of a GPU, or the number of GPUs, of a trial.
        began: When the driver began, in seconds since 1970.
        paces: The seconds of one evaluation of some trials, where they were measured before the search.
        turnaround: The seconds between two trials in one slot, where no row says so.
    """

    def __init__(
        self,
        plan: Plan,
        ledger: Ledger,
        queue: TrialQueue,
        slots: int,
        gpus: float,
        began: float,
        paces: Sequence[float] = (),
        turnaround: float = 0.0,
    ) -> None:
        self._plan, self._ledger, self._queue, self._slots, self._gpus = plan, ledger, queue, slots, gpus
        self._began, self._turnaround = began, turnaround
        self._interval = plan.space.base.train.eval_images
        # Finals are never compared.
        self._rungs = plan.rungs if queue.promotes else plan.rungs[-1:]
        self._survival, self._pace, earlier = Survival(self._rungs), Pace(slots), Pace(slots)
        for row in ledger.rows:
            self._survival.note(row, ledger)
            earlier.note(row)
        self._noted = len(ledger.rows)
        self._known_paces = [*paces, *earlier.all()]
        self._newest: tuple[float, int, TimeLeft | None] | None = None  # the last estimate: when, after how many rows
        self._due = 0.0

    def at(self, now: float) -> TimeLeft | None:
        """Returns the newest estimate, less the time since. A new one is made after new rows, or after some seconds.

        However many trials there are, the estimates take a small share of the driver's time.
        """
        rows = len(self._ledger.rows)
        if self._newest is None or now >= self._due + (_PATIENCE if rows == self._newest[1] else 0):
            begun = time.perf_counter()
            self._newest = now, rows, self.estimate(now)
            self._due = now + (time.perf_counter() - begun) / _SHARE
        when, _, left = self._newest
        return None if left is None else left.after(now - when)

    def estimate(self, now: float) -> TimeLeft | None:
        """Returns how long the driver still works after `now`, in seconds since 1970; None where nothing is known."""
        for row in self._ledger.rows[self._noted :]:
            self._survival.note(row, self._ledger)
            self._pace.note(row)
        self._noted = len(self._ledger.rows)
        budget = self._budget(now)
        work = None if self._queue.new_trials() is None else self._work(now)
        if work is None or budget <= work.low:
            return TimeLeft(budget, budget, budget, by_budget=True) if budget < math.inf else None
        return TimeLeft(work.low, min(work.middle, budget), min(work.high, budget))

    def _budget(self, now: float) -> float:
        """Returns the seconds until the first budget is spent; infinite where there is none."""
        options, left = self._plan.options, math.inf
        if options.time_budget is not None:
            left = self._began + options.time_budget - now
        if options.gpu_hours is not None and self._gpus:
            hours = options.gpu_hours - self._ledger.gpu_hours(self._gpus)
            left = min(left, hours * 3600 / (self._gpus * self._slots))
        return max(0.0, left)

    def _work(self, now: float) -> TimeLeft | None:
        paces = self._pace.all()
        if len(paces) < self._slots:  # the first to report are the fastest
            paces += self._known_paces
        if not paces:
            return None
        started, new = self._jobs(now), self._new()
        # A long search is played in part; the rest of it is like that part.
        scale = max(1.0, len(new) / max(_MOST_NEW, 3 * self._slots))
        new = new[: math.ceil(len(new) / scale)]
        rng = random.Random(0)  # the same state gives the same estimate
        found = sorted(scale * self._played(started, new, paces, rng) for _ in range(_GAMES))
        edge = round(_TAIL * _GAMES)
        return TimeLeft(found[edge], found[_GAMES // 2], found[-1 - edge])

    def _jobs(self, now: float) -> list[_Job]:
        """Returns the trials that this driver has begun, or that an earlier one has and that go on."""
        trials = [
            trial
            for trial in self._ledger.values()
            if trial.status == "running" and trial.is_final != self._queue.promotes
        ]
        trials += [trial for trial in self._queue.unfinished if trial.status != "running"]
        return [
            _Job(
                trial.images or self._first(trial.start),
                self._pace.of(trial.trial_id),
                now - self._pace.since.get(trial.trial_id, self._began),
            )
            for trial in trials
        ]

    def _new(self) -> list[_Job]:
        known = [_Job(self._first(proposal)) for proposal in self._queue.proposals]
        return known + [_Job(0)] * ((self._queue.new_trials() or 0) - len(known))

    def _first(self, trial: Start | Proposal) -> int:
        """Returns the images from which a new trial trains: those of the trial that it continues."""
        parent = self._ledger.get(trial.parent or "")
        return parent.images if parent is not None and trial.relation == "continuation" else 0

    @cached_property
    def _prior(self) -> Sequence[float]:
        """The share of the trials at each rung that go on, in a simulated search."""
        if len(self._rungs) == 1:
            return []
        try:
            return expected_cost(self._plan, self._slots).passing
        except UserError as error:
            warn_once(f"the time left is a guess: {one_line(error)}")
            return [1 / self._plan.options.eta] * (len(self._rungs) - 1)

    def _played(
        self, started: Sequence[_Job], new: Sequence[_Job], measured: Sequence[float], rng: random.Random
    ) -> float:
        """Plays the rest of the search once; returns the seconds that it takes."""
        paces = rng.choices(measured, k=len(measured))  # a bootstrap sample: few measurements make a wide range
        turnaround = self._pace.turnaround or self._turnaround
        full, survival = self._rungs[-1], self._survival
        passing = [self._drawn(rng, rung, prior) for rung, prior in enumerate(self._prior)]
        # As many trials go on as the share of those that came. A fraction of a trial is drawn.
        due = [
            share * len(survival.reached[rung]) - len(survival.passed[rung]) + rng.random()
            for rung, share in enumerate(passing)
        ]
        losses = [
            lost / (lost + len(reached) + _PRIOR) for lost, reached in zip(survival.lost, survival.reached, strict=True)
        ]
        waiting = [
            [_Job(self._rungs[rung], self._pace.of(trial_id)) for trial_id in survival.waiting[rung].values()]
            for rung in range(len(passing))
        ]
        events: list[tuple[float, int, _Job]] = []
        order = count()  # decides between events of the same time
        ready = [*reversed(new), *reversed(started)]
        now = 0.0

        def next_job() -> _Job | None:
            if len(ready) <= len(new):
                for rung in reversed(range(len(passing))):
                    if due[rung] >= 1 and waiting[rung]:
                        due[rung] -= 1
                        return waiting[rung].pop()
            return ready.pop() if ready else None

        while True:
            while len(events) < self._slots and (job := next_job()) is not None:
                pace = job.pace or rng.choice(paces)
                rung = bisect_right(self._rungs[:-1], job.images)
                one, end = pace / self._interval, self._rungs[rung]
                seconds = max(0, end - job.images) * one
                seconds += turnaround if job.elapsed is None else -min(job.elapsed, pace)
                if rng.random() < losses[rung]:
                    seconds, end = seconds * rng.random(), full
                heapq.heappush(events, (now + max(0.0, seconds), next(order), _Job(end, pace)))
            if not events:
                return now
            now, _, job = heapq.heappop(events)
            if job.images < full:
                rung = self._rungs.index(job.images)
                due[rung] += passing[rung]
                waiting[rung].append(job)

    def _drawn(self, rng: random.Random, rung: int, prior: float) -> float:
        """Draws the share of trials that go on from a rung: the beta distribution of what came there so far."""
        reached, passed = len(self._survival.reached[rung]), len(self._survival.passed[rung])
        stay = _PRIOR * (1 - prior) + reached - passed
        return rng.betavariate(_PRIOR * prior + passed, stay) if stay > 0 < prior else prior
