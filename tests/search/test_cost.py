"""The cost of a search, from simulated trials about which its own scheduler decides."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gansearch.errors import UserError
from gansearch.registry import component
from gansearch.run import Ledger, Plan, RunDir
from gansearch.run.rows import Decision, Eval, Row, Start, Verdict
from gansearch.search.cost import Cost, expected_cost
from gansearch.search.decisions import Decisions
from gansearch.search.find_space import find_space
from gansearch.search.planning import plan_search
from gansearch.search.schedulers.base import GOES_ON, Policy, Ruling, Scheduler

SLOTS = st.integers(1, 9)
SPACE, SHAPE, KIMG = find_space("digits"), {"train.evaluations": 9}, 14.4  # rungs at evaluations 1 and 3 by default
FEW = settings(max_examples=25)


def plan_of(trials: int | None = 16, **options: Any) -> Plan:
    return plan_search(SPACE, RunDir(Path("never")), SHAPE, KIMG, **{"first_rung": 1, "trials": trials, **options})


class Rows(Policy):
    """Decides as a search does: by rows, which the search's own decisions become."""

    def __init__(self, name: str, eta: int) -> None:
        self._ledger = Ledger()
        self._decisions = Decisions(plan_of(scheduler=name, eta=eta), self._ledger)

    def at(self, trial_id: str, images: int, fid: float) -> Ruling:
        number = int(trial_id)
        row: dict[str, Any] = {"trial_id": trial_id, "number": number}
        numbers = dict.fromkeys(("train_seconds", "eval_seconds", "d_loss_real", "d_loss_fake", "g_loss"), 1.0)
        self._add(Start(**row, params={}, origin="sampled", seed=0))
        self._add(Eval(**row, kimg=images / 1000, fid=fid, protocol="x", images_per_second=1.0, **numbers))
        return self._recorded(self._decisions.pending(self._ledger[trial_id]))

    def promote(self) -> tuple[str, int, Ruling] | None:
        decision = self._decisions.promote()
        return None if decision is None else (decision.trial_id, decision.images, self._recorded(decision))

    def _add(self, row: Row) -> None:
        self._ledger.add(row)
        self._decisions.note(row)

    def _recorded(self, decision: Decision | None) -> Ruling:
        if decision is None:
            return GOES_ON
        self._add(decision)
        return Ruling(decision.verdict, decision.cut, decision.compared, decision.behind)


@component
class ByRows(Scheduler):
    """Decides by rows."""

    of: str = "asha"

    def policy(self, rungs: Sequence[int], eta: int) -> Policy:
        return Rows(self.of, eta)


@component
class Always(Scheduler):
    """Says the same of every trial."""

    verdict: Verdict = "goes on"

    def policy(self, rungs: Sequence[int], eta: int) -> Policy:
        verdict = self.verdict

        class _Same(Policy):
            def at(self, trial_id: str, images: int, fid: float) -> Ruling:
                return Ruling(verdict)

        return _Same()


@component
class Broken(Scheduler):
    """Promotes a trial that does not wait."""

    def policy(self, rungs: Sequence[int], eta: int) -> Policy:
        class _Broken(Policy):
            def at(self, trial_id: str, images: int, fid: float) -> Ruling:
                return GOES_ON

            def promote(self) -> tuple[str, int, Ruling] | None:
                return "0001", 1, GOES_ON

        return _Broken()


def with_own(scheduler: type[Scheduler], **options: Any) -> Plan:
    chosen = {f"scheduler.{name}": value for name, value in options.pop("of", {}).items()}
    options = {"first_rung": 1, "trials": 16, **options}
    return plan_search(SPACE, RunDir(Path("never")), {**SHAPE, **chosen}, KIMG, scheduler=scheduler, **options)


@FEW
@given(slots=SLOTS, trials=st.integers(1, 40))
def test_without_a_scheduler_every_trial_is_full(slots: int, trials: int) -> None:
    cost = expected_cost(plan_of(trials, scheduler=None), slots)
    assert (cost.trials, cost.full, cost.trainings, cost.share) == pytest.approx((trials, trials, trials, 1.0))
    assert cost.time >= trials / slots * 0.5


@FEW
@given(slots=SLOTS, eta=st.integers(2, 5), trials=st.integers(5, 40))
def test_with_a_scheduler_a_trial_costs_more_than_its_first_rung_and_less_than_all(
    slots: int, eta: int, trials: int
) -> None:
    plan = plan_of(trials, eta=eta)
    cost = expected_cost(plan, slots)
    assert plan.rungs[0] / plan.rungs[-1] < cost.share < 1
    assert cost.trials == pytest.approx(trials) and 1 <= cost.full < trials


def test_the_best_of_a_rung_always_goes_on_so_few_trials_cost_more_than_many() -> None:
    """One trial in three passing a rung would give 0.26, whatever their number."""
    few, many = (expected_cost(plan_of(trials), 2).share for trials in (16, 500))
    assert 0.26 < many < 0.30 < few < 0.38


@pytest.mark.parametrize("name", ["asha", "asha-stopping"])
@pytest.mark.parametrize("slots", [1, 4])
def test_it_is_what_the_decisions_of_a_search_cost(name: str, slots: int) -> None:
    assert expected_cost(with_own(ByRows, of={"of": name}), slots) == expected_cost(plan_of(scheduler=name), slots)


@pytest.mark.parametrize(("verdict", "share"), [("goes on", 1.0), ("stops", 1 / 9), ("waits", 1 / 9)])
def test_a_scheduler_of_one_s_own_decides(verdict: str, share: float) -> None:
    assert expected_cost(with_own(Always, of={"verdict": verdict}), 2).share == pytest.approx(share)


def test_a_scheduler_that_fails_is_named() -> None:
    with pytest.raises(UserError, match=r"^scheduler .*:Broken: KeyError: '0001'$"):
        expected_cost(with_own(Broken), 2)


@FEW
@given(slots=SLOTS, time=st.floats(0.2, 30))
def test_a_time_fills_all_slots_to_its_end(slots: int, time: float) -> None:
    cost = expected_cost(plan_of(None, time_budget=1.0), slots, time)
    assert cost.time == pytest.approx(time)
    assert cost.full <= cost.trials and cost.trials >= slots
    # What is trained at the end is cut before its next evaluation, and trials differ in speed.
    assert 0.7 * time - 0.2 < cost.trainings / slots < 1.3 * time


def test_a_time_and_a_number_end_a_search_by_what_comes_first() -> None:
    whole = expected_cost(plan_of(16), 2)
    assert expected_cost(plan_of(16), 2, 1000.0) == whole
    cut = expected_cost(plan_of(16), 2, whole.time / 2)
    assert cut.trials < 16 and cut.time == pytest.approx(whole.time / 2)
    assert expected_cost(plan_of(10**6), 2, 3.0) == expected_cost(plan_of(None, time_budget=1.0), 2, 3.0)
    with pytest.raises(ValueError, match="without an end"):
        expected_cost(plan_of(None, time_budget=1.0), 2)


def test_a_long_search_is_counted_up_from_a_part_of_it() -> None:
    thousand, million = expected_cost(plan_of(1000), 8), expected_cost(plan_of(10**6), 8)
    *numbers, passing = vars(thousand).values()
    assert million == Cost(*(1000 * value for value in numbers), passing=passing)
    hours, weeks = (expected_cost(plan_of(None, time_budget=1.0), 8, time) for time in (125.0, 125e3))
    assert math.isclose(weeks.trials, 1000 * hours.trials)
