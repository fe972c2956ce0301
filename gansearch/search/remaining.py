"""How long a search still takes: the rest of it is played, at the speed and with the survival that its rows show."""

import math
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

from gansearch.errors import UserError, one_line
from gansearch.logs import warn_once
from gansearch.run.ledger import Ledger
from gansearch.run.manifest import Plan
from gansearch.run.rows import Start
from gansearch.search.cost import expected_cost
from gansearch.search.pace import Pace, Survival, seconds_of
from gansearch.search.playing import Gate, Job, play
from gansearch.search.queue import Proposal, TrialQueue

_GAMES = 24
_MOST_NEW = 500  # trials of one game
_SHARE = 0.02  # of a driver's time
_PATIENCE = 5  # seconds without a new row until an estimate is made anew
_TAIL = 0.05  # of the games at each end lie outside the range


@dataclass(frozen=True)
class TimeLeft:
    """The seconds until a search ends: a range, and a value between. `by_budget`: a budget ends it for certain."""

    low: float
    middle: float
    high: float
    by_budget: bool = False

    def after(self, seconds: float) -> "TimeLeft":
        """Returns what is left of this some seconds later."""
        low, middle, high = (max(0.0, value - seconds) for value in (self.low, self.middle, self.high))
        return TimeLeft(low, middle, high, self.by_budget)


class Remaining:
    """Estimates how long one driver still has to work.

    It follows the driver's ledger and queue. The rest of the search is played several times on the driver's slots. A
    trial takes as long from one evaluation to the next as trials of this driver have. How many go on from a rung is
    known from a simulation of the whole search with its own scheduler, and corrected by how many have so far.

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
        last = began
        for row in ledger.rows:
            self._survival.note(row, ledger)
            earlier.note(row)
            last = seconds_of(row)
        self._noted = len(ledger.rows)
        self._known_paces = [*paces, *earlier.all(last)]
        self._newest: tuple[float, int, TimeLeft | None] | None = None  # the last estimate: when, after how many rows
        self._due = 0.0
        self._lock = threading.Lock()

    def at(self, now: float) -> TimeLeft | None:
        """Returns the newest estimate, less the time since. A new one is made after new rows, or after some seconds.

        However many trials there are, the estimates take a small share of the driver's time.
        """
        with self._lock:  # the live table is drawn in a thread of its own
            rows = len(self._ledger.rows)
            if self._newest is None or now >= self._due + (_PATIENCE if rows == self._newest[1] else 0):
                begun = time.perf_counter()
                self._newest = now, rows, self.estimate(now)
                self._due = now + (time.perf_counter() - begun) / _SHARE
            when, _, left = self._newest
        return None if left is None else left.after(now - when)

    def estimate(self, now: float) -> TimeLeft | None:
        """Returns how long the driver still works after `now`, in seconds since 1970; None where nothing is known."""
        new = self._ledger.rows[self._noted :]
        self._noted += len(new)
        for row in new:
            self._survival.note(row, self._ledger)
            self._pace.note(row)
        # A budget alone ends a search without a number of trials, also once it has tried all parameters.
        budget, has_end = self._budget(now), self._plan.options.trials is not None or not self._queue.promotes
        work = self._work(now) if has_end else TimeLeft(math.inf, math.inf, math.inf)
        if work is None:
            return None
        if budget <= work.low:
            return TimeLeft(budget, budget, budget, by_budget=True)
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
        """Returns how long the work takes, whatever the budgets are; None where no speed is known."""
        paces = self._pace.all(now)
        if len(paces) < self._slots:  # the first to report are the fastest
            paces += self._known_paces
        if not paces:
            return None
        started, waiting, new = self._started(now), self._waiting(now), self._new()
        # A long search is played in part; the rest of it is like that part.
        scale = max(1.0, len(new) / max(_MOST_NEW, 3 * self._slots))
        new = new[: math.ceil(len(new) / scale)]

        def played(seed: int) -> float:
            rng = random.Random(seed)
            chosen = rng.choices(paces, k=len(paces))  # a bootstrap sample: few measurements make a wide range

            def seconds(job: Job, images: int) -> tuple[float, float]:
                pace = job.pace or rng.choice(chosen)
                over = -(self._pace.turnaround or self._turnaround) if job.elapsed is None else min(job.elapsed, pace)
                return max(0.0, (images - job.images) / self._interval * pace - over), pace

            gates = [
                Gate(prior, *counts, jobs, self._plan.options.eta, rng)
                for prior, counts, jobs in zip([*self._prior, (0.0,)], self._survival.counts(), waiting, strict=True)
            ]
            return scale * play(started, new, gates, self._rungs, self._slots, seconds, rng)

        found = sorted(map(played, range(_GAMES)))
        edge = round(_TAIL * _GAMES)
        # The games are often of two kinds: a slow trial goes on, or it does not. The geometric mean is between them.
        middle = math.exp(fmean(math.log(max(value, 1e-3)) for value in found))
        low, high = found[edge], found[-1 - edge]
        return TimeLeft(low, min(max(low, middle), high), high)

    def _started(self, now: float) -> list[Job]:
        """Returns the trials that this driver trains, or that an earlier one did and that go on."""
        trials = [
            trial
            for trial in list(self._ledger.values())  # the driver goes on meanwhile
            if trial.status == "running" and trial.is_final != self._queue.promotes
        ]
        trials += [trial for trial in list(self._queue.unfinished) if trial.status != "running"]
        ledger, survival = self._ledger, self._survival
        return [
            Job(
                # A trial that is yet to be compared at a rung comes there in a moment.
                (trial.images or self._first(trial.start))
                - survival.is_undecided(trial.trial_id, trial.images, ledger),
                self._pace.of(trial.trial_id, now),
                now - self._pace.since.get(trial.trial_id, self._began),
            )
            for trial in trials
        ]

    def _waiting(self, now: float) -> list[list[Job]]:
        """Returns the newest trials that wait at each rung: of many, few go on."""
        return [
            [Job(images, self._pace.of(trial_id, now)) for trial_id in list(waiting.values())[-_MOST_NEW:]]
            for images, waiting in zip(self._rungs, self._survival.waiting, strict=True)
        ]

    def _new(self) -> list[Job]:
        known = [Job(self._first(proposal)) for proposal in list(self._queue.proposals)]
        return known + [Job(0)] * ((self._queue.new_trials() or 0) - len(known))

    def _first(self, trial: Start | Proposal) -> int:
        """Returns the images from which a new trial trains: those of the trial that it continues."""
        parent = self._ledger.get(trial.parent or "")
        return parent.images if parent and self._ledger.trains_on(trial.parent, trial.relation) else 0

    @cached_property
    def _prior(self) -> Sequence[Sequence[float]]:
        """For each rung but the full length: how many go on when 0, 1, ... came there, in a simulated search."""
        if len(self._rungs) == 1:
            return []
        try:
            return expected_cost(self._plan, self._slots).passing
        except UserError as error:
            warn_once(f"the time left is a guess: {one_line(error)}")
            return [(0.0, 1 / self._plan.options.eta)] * (len(self._rungs) - 1)
