"""The time that a search still takes, by its rows: small ledgers with numbers worked out by hand, and properties."""

import math
import random
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gansearch.run import Ledger, Plan, RunDir
from gansearch.run.rows import Decision, End, Eval, Row, Start, Status, Verdict
from gansearch.search.find_space import find_space
from gansearch.search.planning import plan_search
from gansearch.search.playing import Gate, Job
from gansearch.search.queue import TrialQueue, finals_queue, search_queue
from gansearch.search.remaining import Remaining, TimeLeft

STEPS, KIMG = 9, 14.4  # evaluations of a trial, 1.6 kimg apart; rungs at the first and the third
SPACE = find_space("digits")
START = 1e9  # when the driver begins, in seconds since 1970


def plan_of(trials: int | None, **options: Any) -> Plan:
    options = {"first_rung": 1, "scheduler": None, **options}
    return plan_search(SPACE, RunDir(Path("never")), {"train.evaluations": STEPS}, KIMG, trials=trials, **options)


class Driver:
    """A driver whose rows are written by hand, at seconds after its start."""

    def __init__(self, plan: Plan, ledger: Ledger | None = None, queue: TrialQueue | None = None, **more: Any) -> None:
        self.plan, self.ledger = plan, ledger or Ledger()
        self.queue = queue or search_queue(plan, self.ledger)
        slots, gpus = more.pop("slots", 2), more.pop("gpus", 0.0)
        self.remaining = Remaining(plan, self.ledger, self.queue, slots, gpus, START, **more)

    def start(self, number: int, at: float, **fields: Any) -> None:
        proposal = self.queue.next_proposal()
        assert proposal is not None
        own = {"params": {}, "origin": proposal.origin, "seed": 0, "parent": proposal.parent}
        self._add(Start(**_identity(number, at), **{**own, "relation": proposal.relation, **fields}))

    def evaluate(self, number: int, step: int, at: float, seconds: float = 10.0) -> None:
        measures = dict.fromkeys(("d_loss_real", "d_loss_fake", "g_loss", "images_per_second", "fid"), 1.0)
        times = {"train_seconds": seconds - 1, "eval_seconds": 1.0}
        self._add(Eval(**_identity(number, at), kimg=step * 1.6, protocol="p", **times, **measures))

    def decide(self, number: int, step: int, verdict: Verdict, at: float) -> None:
        self._add(Decision(**_identity(number, at), kimg=step * 1.6, verdict=verdict))

    def end(self, number: int, at: float, status: Status = "completed", step: int = STEPS) -> None:
        best = {"best_fid": 1.0, "best_kimg": 1.6, "reason": None}
        self._add(End(**_identity(number, at), status=status, kimg=step * 1.6, **best))

    def train(self, number: int, begun: float, *, first: int = 1, last: int = STEPS, seconds: float = 10.0) -> None:
        """Writes the rows of a trial that trains without a break, but for its start."""
        for count, step in enumerate(range(first, last + 1), 1):
            self.evaluate(number, step, begun + count * seconds, seconds)

    def left(self, at: float) -> TimeLeft | None:
        return self.remaining.estimate(START + at)

    def middle(self, at: float) -> float:
        left = self.left(at)
        assert left is not None
        return left.middle

    def _add(self, row: Row) -> None:
        self.ledger.add(row)


def _identity(number: int, at: float) -> dict[str, Any]:
    time = datetime.fromtimestamp(START + at, UTC).isoformat(timespec="microseconds")
    return {"trial_id": f"{number:04d}", "number": number, "time": time}


def exactly(seconds: float) -> TimeLeft:
    return TimeLeft(*[pytest.approx(seconds)] * 3)


def test_nothing_is_known_before_the_first_evaluation() -> None:
    driver = Driver(plan_of(4))
    driver.start(0, 0)
    assert driver.left(5) is None


def test_without_a_scheduler_and_with_equal_speeds_it_is_exact() -> None:
    """Five trials of nine evaluations of ten seconds each on two slots: the last one trains alone."""
    driver = Driver(plan_of(5))
    driver.start(0, 0)
    driver.start(1, 0)
    driver.train(0, 0, last=2)
    driver.train(1, 0, last=2)
    assert driver.left(20) == exactly(70 + 90 + 90)
    assert driver.left(24) == exactly(66 + 90 + 90), "four seconds of the third evaluations are over"


def test_the_start_of_the_actors_is_no_work_and_a_turnaround_is() -> None:
    """The first trials wait 30 s for their processes. The third one begins 2 s after its start row."""
    driver = Driver(plan_of(4), slots=1)
    driver.start(0, 0)
    driver.train(0, 30)
    assert driver.left(120) == exactly(3 * 90)
    driver.end(0, 120)
    driver.start(1, 120)
    driver.train(1, 122)
    assert driver.left(212) == exactly(2 * 92)


def test_a_trial_that_was_not_evaluated_for_long_is_slow() -> None:
    """The third trial has trained for 50 s, while others took 10 s for an evaluation: so it takes 50 s at least."""
    driver = Driver(plan_of(3), slots=2)
    for number in range(2):
        driver.start(number, 0)
        driver.train(number, 0)
        driver.end(number, 90)
    driver.start(2, 90)
    assert driver.left(95) == exactly(85)
    assert driver.left(140) == exactly(8 * 50)


def test_an_earlier_driver_has_measured_the_speed() -> None:
    before = Driver(plan_of(4), slots=1)
    before.start(0, -5000)
    before.train(0, -5000, last=3, seconds=20)
    driver = Driver(before.plan, before.ledger, slots=1)
    assert driver.left(0) == exactly(6 * 20 + 3 * 180)
    driver.evaluate(0, 4, 40, seconds=10)
    assert driver.left(40) == exactly(5 * 10 + 3 * 90), "this driver's own speed counts, not that of its start"


def test_finals_have_full_length_and_are_not_compared() -> None:
    before = Driver(plan_of(1, scheduler="asha"))
    before.start(0, -500)
    before.train(0, -500)
    before.end(0, -400)
    plan = before.plan
    driver = Driver(plan, before.ledger, finals_queue(plan, before.ledger, [before.ledger["0000"]], 3))
    assert driver.left(0) == exactly(2 * 90)


def test_a_trial_that_is_continued_trains_the_rest_only() -> None:
    before = Driver(plan_of(1))
    before.start(0, -500)
    before.train(0, -500)
    before.end(0, -400)
    plan = before.plan.extended(0, 2 * KIMG)
    driver = Driver(plan, before.ledger, slots=1)
    assert driver.queue.new_trials() == 1 and driver.left(0) == exactly(90)
    driver.start(1, 0)
    driver.train(1, 0, first=STEPS + 1, last=STEPS + 3)
    assert driver.left(30) == exactly(60)


def test_a_budget_ends_the_search_before_the_work_does() -> None:
    alone = Driver(plan_of(None, time_budget=100.0))
    assert alone.left(40) == TimeLeft(60.0, 60.0, 60.0, by_budget=True)
    assert alone.left(140) == TimeLeft(0.0, 0.0, 0.0, by_budget=True)
    exhausted = Driver(plan_of(None, time_budget=100.0, scheduler="asha"))
    exhausted.queue.exhaust()  # all parameters have been tried
    exhausted.start(0, 0)
    exhausted.train(0, 0, last=1)
    assert exhausted.left(40) == TimeLeft(60.0, 60.0, 60.0, by_budget=True)
    for budget, expected in ((1000.0, exactly(80 + 90)), (100.0, TimeLeft(90.0, 90.0, 90.0, by_budget=True))):
        driver = Driver(plan_of(2, time_budget=budget), slots=1)
        driver.start(0, 0)
        driver.train(0, 0, last=1)
        assert driver.left(10) == expected


def test_gpu_hours_are_shared_by_the_slots() -> None:
    """Of 100 GPU seconds 20 are used, and two trials with half a GPU each use one more every second."""
    driver = Driver(plan_of(None, gpu_hours=100 / 3600), gpus=0.5)
    for number in range(2):
        driver.start(number, 0)
        driver.train(number, 0, last=2)
    assert driver.left(20) == TimeLeft(*[pytest.approx(80)] * 3, by_budget=True)


@pytest.mark.parametrize("name", ["asha", "asha-stopping"])
def test_with_a_scheduler_the_prior_is_its_simulated_search(name: str) -> None:
    """Thirty trials take about 0.3 of their full length each, by either scheduler."""
    driver = Driver(plan_of(30, scheduler=name), slots=1, paces=[10.0])
    whole = driver.left(0)
    assert whole is not None
    assert 0.15 * 30 * 90 < whole.low < 0.3 * 30 * 90 < whole.high < 0.6 * 30 * 90
    assert 0.25 * 30 * 90 < whole.middle < 0.4 * 30 * 90


def test_more_trials_go_on_where_more_have_so_far() -> None:
    def after(verdict: Verdict) -> float:
        driver = Driver(plan_of(60, scheduler="asha"), slots=1)
        for number in range(20):
            driver.start(number, number * 10)
            driver.train(number, number * 10, last=1)
            driver.decide(number, 1, verdict, number * 10 + 10)
            if verdict == "goes on":
                driver.evaluate(number, 2, number * 10 + 10)
                driver.end(number, number * 10 + 10, "stopped", step=2)
        return driver.middle(200)

    assert after("goes on") > 1.2 * after("waits")


def test_trials_that_diverge_leave_less_to_do() -> None:
    def after(status: Status) -> float:
        driver = Driver(plan_of(20), slots=1)
        for number in range(10):
            driver.start(number, number * 10)
            driver.evaluate(number, 1, number * 10 + 10)
            driver.end(number, number * 10 + 10, status, step=1)
        return driver.middle(100)

    assert after("diverged") < 0.7 * after("stopped")


def test_trials_that_wait_among_few_may_go_on_at_the_end() -> None:
    prior = (0.0, 1.0, 2.0)
    games = [Gate(prior, 2, 0, 0, [Job(1600)] * 2, few=3, rng=random.Random(seed)) for seed in range(20)]
    assert sum(gate.promote() is not None for gate in games) > 15
    games = [Gate(prior, 2, 0, 0, [Job(1600)] * 2, few=2, rng=random.Random(seed)) for seed in range(20)]
    assert not any(gate.promote() for gate in games), "enough came: none of them was to go on"


@settings(max_examples=15)
@given(
    scheduler=st.sampled_from([None, "asha", "asha-stopping"]),
    slots=st.integers(1, 5),
    paces=st.lists(st.floats(0.01, 100), min_size=1, max_size=5),
    lengths=st.lists(st.integers(0, STEPS), max_size=8),
    verdicts=st.lists(st.sampled_from(["goes on", "waits", "stops"]), min_size=8, max_size=8),
)
def test_it_is_a_range_of_finite_times(
    scheduler: str | None, slots: int, paces: list[float], lengths: list[int], verdicts: list[Verdict]
) -> None:
    driver = Driver(plan_of(8, scheduler=scheduler), slots=slots, paces=paces)
    for number, (length, verdict) in enumerate(zip(lengths, verdicts, strict=False)):
        driver.start(number, number)
        driver.train(number, number, last=length)
        if length in {1, 3} and scheduler:
            driver.decide(number, length, verdict, number + 10 * length)
        if length == STEPS:
            driver.end(number, 100)
    left = driver.left(100)
    assert left is not None
    assert 0 <= left.low <= left.middle <= left.high < math.inf
    later = left.after(1e6)
    assert (later.low, later.high) == (0.0, 0.0)


@settings(max_examples=10)
@given(slots=st.integers(1, 4), pace=st.floats(1, 100), trials=st.integers(1, 6))
def test_it_shrinks_as_work_is_done(slots: int, pace: float, trials: int) -> None:
    driver = Driver(plan_of(trials), slots=slots, paces=[pace])
    found = [driver.middle(0)]
    now = 0.0
    for number in range(trials):
        driver.start(number, now)
        for step in range(1, STEPS + 1):
            now += pace
            driver.evaluate(number, step, now, pace)
            found.append(driver.middle(now))
        driver.end(number, now)
    assert all(later <= earlier + 1e-3 for earlier, later in pairwise(found)) and driver.middle(now) < 0.01


def test_it_is_made_anew_seldom_and_counts_down_between() -> None:
    driver = Driver(plan_of(5))
    driver.start(0, 0)
    driver.train(0, 0, last=2)
    first = driver.remaining.at(START + 20)
    assert first is not None and driver.remaining.at(START + 21) == first.after(1.0)
