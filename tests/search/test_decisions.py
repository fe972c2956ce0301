"""What becomes of a trial at a rung, by the rows of a search; and a new driver decides as the one before it would."""

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gansearch.config import Component
from gansearch.run.ledger import Ledger
from gansearch.run.manifest import Plan
from gansearch.run.rows import Decision, Eval, Row, Status
from gansearch.search.decisions import Decisions
from gansearch.search.history import History
from tests.search.virtual import EVALUATIONS, INTERVAL, Rows, evaluation, plan_of

ETA, TRIALS = 3, 8
PROMOTION = Component(name="asha")
STOPPING = Component(name="asha-stopping")


def plan(scheduler: Component = PROMOTION, **options: Any) -> Plan:
    return plan_of(Path("runs/none"), trials=None, eta=ETA, scheduler=scheduler, **options)


RUNGS = plan().rungs


class Driver:
    """The recorder's way with decisions, in memory. A second one may go on from the rows of a first."""

    def __init__(self, plan: Plan, rows: list[Row]) -> None:
        self.ledger = Ledger(rows)
        self.decisions = Decisions(plan, self.ledger)

    def add(self, row: Row) -> Decision | None:
        """Adds a row, and with an evaluation the decision about it, which is returned."""
        if self.ledger.is_duplicate(row):
            return None
        self.ledger.add(row)
        self.decisions.note(row)
        decision = self.decisions.pending(self.ledger[row.trial_id])
        if decision is not None:
            self.add(decision)
        return decision

    def report(self, number: int, fid: float) -> Decision | None:
        """The next evaluation of a trial."""
        trial = self.ledger[f"{number:04d}"]
        made = evaluation(len(trial.evals) + 1, fid)
        return self.add(Eval(trial_id=trial.trial_id, number=number, **vars(made)))

    def promote(self) -> Decision | None:
        decision = self.decisions.promote()
        if decision is not None:
            self.add(decision)
        return decision

    def promote_all(self) -> list[tuple[str, int]]:
        return [(found.trial_id, found.images) for found in iter(self.promote, None)]

    def trains(self, number: int) -> bool:
        trial = self.ledger[f"{number:04d}"]
        return not trial.is_held and len(trial.evals) < EVALUATIONS


def begun(plan: Plan, trials: int = TRIALS) -> Driver:
    rows = Rows()
    for number in range(trials):
        rows.start(number)
    return Driver(plan, rows)


FIDS = st.lists(
    st.lists(st.integers(1, 9), min_size=EVALUATIONS, max_size=EVALUATIONS), min_size=TRIALS, max_size=TRIALS
)
# The number of a trial that reports, or TRIALS where a slot is free, so that a waiting trial may go on.
EVENTS = st.lists(st.integers(0, TRIALS), max_size=60)


def played(driver: Driver, fids: list[list[int]], events: list[int]) -> Driver:
    for number in events:
        if number == TRIALS:
            driver.promote()
        elif driver.trains(number):
            driver.report(number, fids[number][len(driver.ledger[f"{number:04d}"].evals)])
    return driver


def said(row: Row) -> Row:
    return replace(row, time="2025-01-01T00:00:00+00:00")


def arrived(ledger: Ledger, rung: int) -> list[tuple[float, str]]:
    """The lowest FIDs up to a rung of all trials that came there, the best first."""
    found = [(ledger.fid_at(trial.trial_id, rung), trial.trial_id) for trial in ledger.values() if trial.images >= rung]
    return sorted((fid, trial_id) for fid, trial_id in found if fid is not None)


def shorter(ledger: Ledger, rung: int) -> list[float]:
    """The FIDs of the trials that came to shorter rungs only, each at the last of these."""
    below = [(length, longer) for length, longer in pairwise(RUNGS[:-1]) if longer <= rung]
    return [
        fid for length, longer in below for fid, trial_id in arrived(ledger, length) if ledger[trial_id].images < longer
    ]


def beaten(ledger: Ledger, rung: int) -> bool:
    """Whether so few came to a rung that shorter ones count, and a trial there has a lower FID than all of them."""
    ranked = arrived(ledger, rung)
    return len(ranked) < ETA and min(shorter(ledger, rung), default=math.inf) < ranked[0][0]


def promotable(ledger: Ledger) -> tuple[str, int] | None:
    """Who goes on next by the definition of ASHA: the best waiting one of the highest rung where it is in the top.

    The top of a rung is one trial at least, unless a trial of a shorter rung beats all of few.
    """
    for rung in reversed(RUNGS[:-1]):
        ranked = arrived(ledger, rung)
        if not ranked or beaten(ledger, rung):
            continue
        allowed = len(ranked) // ETA
        gone_on = sum(ledger[one].images > rung or not ledger[one].is_held for _, one in ranked)
        if rung == RUNGS[-2] and gone_on >= allowed:  # the last rung is strict
            allowed = 1
        top = ranked[: max(1, allowed)]
        for _, trial_id in top:
            if ledger[trial_id].is_held and ledger[trial_id].images == rung:
                return trial_id, rung
    return None


# Six trials come to the last rung one after the other, with the FIDs 6, 9, 4, 9, 9 and 5: the third has replaced the
# first, so that two of six have gone on when the second best comes.
STRICT = [[9 - number, 9, fid, 9, 9, 9, 9, 9, 9] for number, fid in enumerate((6, 9, 4, 9, 9, 5, 9, 9))]


@example(STRICT, [number for number in range(6) for _ in range(3)] + [TRIALS])
@given(FIDS, EVENTS)
def test_promotion_is_asha_s_highest_rung_first_and_each_trial_once(fids: list[list[int]], events: list[int]) -> None:
    driver = begun(plan())
    for event in events:
        expected = promotable(driver.ledger)
        if event == TRIALS:
            decision = driver.promote()
            assert (decision and (decision.trial_id, decision.images)) == expected
        else:
            played(driver, fids, [event])
    passed = [
        (row.trial_id, row.kimg) for row in driver.ledger.rows if isinstance(row, Decision) and row.verdict == "goes on"
    ]
    assert len(set(passed)) == len(passed)


@given(FIDS, EVENTS)
def test_the_best_of_a_rung_waits_for_a_better_one_of_a_shorter_rung_only(
    fids: list[list[int]], events: list[int]
) -> None:
    driver = played(begun(plan()), fids, events)
    driver.promote_all()
    for rung in RUNGS[:-1]:
        for _, trial_id in arrived(driver.ledger, rung)[:1]:
            trial = driver.ledger[trial_id]
            assert trial.images > rung or not trial.is_held or beaten(driver.ledger, rung)


@pytest.mark.parametrize("scheduler", [PROMOTION, STOPPING], ids=["asha", "asha-stopping"])
@given(fids=FIDS, events=EVENTS, cut=st.integers(0, 60))
def test_a_driver_that_has_the_rows_decides_as_the_one_before_it(
    scheduler: Component, fids: list[list[int]], events: list[int], cut: int
) -> None:
    whole = played(begun(plan(scheduler)), fids, events)
    first = played(begun(plan(scheduler)), fids, events[:cut])
    second = played(Driver(plan(scheduler), first.ledger.rows), fids, events[cut:])
    again = Driver(plan(scheduler), whole.ledger.rows)
    assert all(again.decisions.pending(trial) is None for trial in again.ledger.values()), "it is in the rows"
    drivers = (whole, second, again)
    promoted = [driver.promote_all() for driver in drivers]
    assert promoted[0] == promoted[1] == promoted[2]
    rows = [list(map(said, driver.ledger.rows)) for driver in drivers]
    assert rows[0] == rows[1] == rows[2]


@given(FIDS, EVENTS)
def test_a_decision_that_a_kill_cut_off_is_made_by_the_next_driver(fids: list[list[int]], events: list[int]) -> None:
    driver = played(begun(plan()), fids, events)
    rows = driver.ledger.rows
    last = rows[-1]
    if isinstance(last, Decision) and isinstance(rows[-2], Eval) and rows[-2].trial_id == last.trial_id:
        killed = Driver(plan(), rows[:-1])
        pending = killed.decisions.pending(killed.ledger[last.trial_id])
        assert pending is not None and said(pending) == said(last)


def test_a_trial_that_went_on_is_not_asked_again_however_good_those_after_it_are() -> None:
    driver = begun(plan())
    first = driver.report(0, 9.0)
    assert first is not None and first.verdict == "goes on"
    assert [found.verdict for number in (1, 2) if (found := driver.report(number, 5.0 - number))] == ["goes on"] * 2
    resumed = Driver(plan(), driver.ledger.rows)
    assert resumed.decisions.pending(resumed.ledger["0000"]) is None
    assert resumed.promote() is None


def test_the_second_of_a_rung_waits_and_goes_on_when_enough_are_worse() -> None:
    """Also after its search has ended and has been resumed with more trials."""
    driver = begun(plan())
    driver.report(0, 5.0)
    second = driver.report(1, 6.0)
    assert second is not None and (second.verdict, second.cut, second.compared) == ("waits", 5.0, 2)
    driver.add(driver.ledger["0001"].ended("stopped"))
    driver = Driver(plan(), driver.ledger.rows)
    for number in (2, 3, 4):
        driver.report(number, 7.0)
    assert driver.promote() is None, "it is the best one in five, and one goes on"
    driver.report(5, 7.0)
    promoted = driver.promote()
    assert promoted is not None and (promoted.trial_id, promoted.cut, promoted.compared) == ("0001", 6.0, 6)
    assert driver.ledger["0001"].status == "running"
    assert driver.promote() is None


def test_a_baseline_that_comes_first_to_a_long_rung_waits_for_those_that_are_better_after_less() -> None:
    """It goes on when they were worse there, and at the end of the search unless one of them is still better."""
    driver = begun(plan(), trials=4)
    for number, fid in ((0, 90.0), (1, 95.0), (2, 5.0), (3, 99.0), (0, 90.0)):
        driver.report(number, fid)
    baseline = driver.report(0, 80.0)
    assert baseline is not None and baseline.images == RUNGS[1]
    assert (baseline.verdict, baseline.cut, baseline.compared, baseline.behind) == ("waits", 5.0, 4, 3)
    assert driver.promote() is None and driver.decisions.release() is None
    driver.report(2, 50.0)
    assert driver.promote() is None and driver.decisions.release() is None
    better = driver.report(2, 81.0)
    assert better is not None and (better.verdict, better.cut, better.compared) == ("waits", 80.0, 2)
    promoted = driver.promote()
    assert promoted is not None and (promoted.trial_id, promoted.cut, promoted.compared) == ("0000", 80.0, 2)
    released = driver.decisions.release()
    assert released is not None and released.trial_id == "0002"


def test_two_trials_at_a_rung_are_both_left_alone_by_asha_stopping() -> None:
    driver = begun(plan(STOPPING))
    for number, fid in ((0, 5.0), (1, 500.0)):
        found = driver.report(number, fid)
        assert found is not None and (found.verdict, found.cut) == ("goes on", None)


def test_a_trial_that_continues_another_has_passed_its_rungs_and_a_final_is_never_compared() -> None:
    driver = begun(plan(), 3)
    for _ in range(EVALUATIONS):
        driver.report(0, 5.0)
    driver.add(driver.ledger["0000"].ended("completed"))
    rows = Rows(driver.ledger.rows)
    rows.start(3, parent="0000", relation="continuation")
    rows.start(4, parent="0000", relation="final", origin="final")
    longer = plan_of(Path("runs/none"), trials=None, scheduler=PROMOTION).extended(0, 27 * INTERVAL / 1000)
    assert longer.rungs == [INTERVAL, 3 * INTERVAL, 9 * INTERVAL, 27 * INTERVAL]
    driver = Driver(longer, rows)
    assert driver.promote() is None, "its parent was completed, and does not wait at what has become a rung"
    for step in (1, 9, 10):
        made = evaluation(step, 100.0)
        assert driver.add(Eval(trial_id="0003", number=3, **vars(made))) is None
    assert driver.report(4, 1.0) is None
    other = driver.report(1, 6.0)
    assert other is not None and other.compared == 2, "the final is not among them"


def test_of_the_former_full_length_a_third_goes_on_however_many_were_completed_there() -> None:
    rows = Rows()
    for number in range(9):
        rows.start(number)
        rows.evals(number, *[10.0 + number] * EVALUATIONS)
        rows.end(number, "completed")
    for number in range(3):
        rows.start(9 + number, parent=f"000{number}", relation="continuation")
        rows.evals(9 + number, 5.0, first=EVALUATIONS + 1)
    for number in range(12, 24):
        rows.start(number)
    longer = plan_of(Path("runs/none"), trials=None, scheduler=PROMOTION).extended(0, 27 * INTERVAL / 1000)
    driver = Driver(longer, rows)
    for number in range(12, 24):
        driver.add(Eval(trial_id=f"{number:04d}", number=number, **vars(evaluation(9, 10.01 + number / 1000))))
        driver.promote_all()
    went_on = [number for number in range(12, 24) if not driver.ledger[f"{number:04d}"].is_held]
    assert went_on == [12, 13, 14, 15] and 3 + len(went_on) == (9 + 12) // ETA


def test_a_trial_completed_at_a_length_between_new_rungs_waits_at_none_of_them() -> None:
    """Of ten evaluations the ninth is a rung once the search has eighteen."""
    rows = Rows()
    rows.start(0)
    rows.evals(0, *[5.0] * 10)
    rows.end(0, "completed")
    ten = plan()
    train = ten.space.base.train.model_copy(update={"max_kimg": 1.8, "evaluations": 18})
    longer = Plan(ten.run, ten.space.replaced(base=ten.space.base.model_copy(update={"train": train})), ten.options)
    assert 9 * INTERVAL in longer.rungs
    assert Driver(longer, rows).promote() is None


@given(st.lists(st.integers(1, 9).map(float), min_size=18, max_size=18), st.integers(1, 8))
def test_a_decision_has_the_fid_that_the_ledger_and_the_history_have(fids: list[float], parent: int) -> None:
    """Also for a trial that continues another: its evaluations count from the start of the other one."""
    rows = Rows()
    rows.start(0)
    rows.evals(0, *fids[:parent])
    rows.end(0, "completed")
    rows.start(1, parent="0000", relation="continuation")
    driver = Driver(plan(), rows)
    for step in range(parent + 1, EVALUATIONS + 1):
        row = Eval(trial_id="0001", number=1, **vars(evaluation(step, fids[step - 1])))
        decision = driver.add(row)
        assert (decision is not None) == (row.images in RUNGS[:-1])
        if decision is not None:
            assert decision.fid == driver.ledger.fid_at("0001", row.images) == fids[step - 1]
        if decision is not None and decision.verdict == "waits":
            driver.promote()
    history = History.of(driver.ledger, RUNGS)
    for rung in RUNGS:
        assert history.fids[rung] == {0: driver.ledger.fid_at("0001", rung)} == {0: fids[rung // INTERVAL - 1]}


def test_a_lost_row_of_a_promotion_stops_no_trial() -> None:
    driver = begun(plan(), trials=2)
    driver.report(0, 5.0)
    driver.report(1, 6.0)
    rows = [*driver.ledger.rows, Eval(trial_id="0001", number=1, **vars(evaluation(2, 5.5)))]
    trial = Ledger(rows)["0001"]
    assert (trial.decisions[-1].verdict, trial.status, trial.is_unfinished) == ("waits", "running", True)


@pytest.mark.parametrize("status", ["diverged", "infeasible", "failed"])
def test_a_trial_that_waits_behind_one_that_came_to_nothing_goes_on(status: Status) -> None:
    driver = begun(plan(), trials=2)
    for fid in (13.0, 12.0, 11.0, 10.0):
        driver.report(0, fid)
    waiting = driver.report(1, 20.0)
    assert waiting is not None and waiting.verdict == "waits"
    assert driver.promote() is None
    driver.add(driver.ledger["0000"].ended(status))
    for one in (Driver(plan(), driver.ledger.rows), driver):
        promoted = one.decisions.promote()
        assert promoted is not None and (promoted.trial_id, promoted.compared) == ("0001", 1)
