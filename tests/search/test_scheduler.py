"""ASHA: when it decides, and that it decides after an interruption as it would have without."""

from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray.tune.schedulers import ASHAScheduler, TrialScheduler

from gansearch.config import TrainConfig, whole_kimg
from gansearch.run.ledger import Ledger
from gansearch.run.manifest import rungs
from gansearch.run.rows import Eval, Row, Start
from gansearch.search.ray.scheduler import PolicyScheduler
from gansearch.search.schedulers.asha import ASHA

ETA = 3
CONTINUE, STOP = TrialScheduler.CONTINUE, TrialScheduler.STOP


def train_of(evaluations: int, batch: int = 64, max_kimg: float = 10.0) -> TrainConfig:
    length = whole_kimg(max_kimg, evaluations=evaluations, batch=batch)
    return TrainConfig(evaluations=evaluations, batch=batch, max_kimg=length)


TRAIN = train_of(9)
RUNGS = rungs(TRAIN, ETA)


@pytest.mark.parametrize(
    ("evaluations", "eta", "at"),
    [
        (9, 3, [1, 3, 9]),
        (10, 3, [1, 3, 9, 10]),
        (30, 3, [3, 9, 27, 30]),
        (20, 4, [2, 8, 20]),
        (16, 2, [2, 4, 8, 16]),
        (2, 3, [1, 2]),
        (1, 3, [1]),
    ],
)
def test_rungs_by_hand(evaluations: int, eta: int, at: list[int]) -> None:
    train = train_of(evaluations)
    assert rungs(train, eta) == [step * train.eval_images for step in at]


@given(st.integers(1, 400), st.integers(2, 6), st.integers(2, 300), st.floats(0.1, 5000))
def test_rungs_are_evaluations_from_a_tenth_to_the_whole(
    evaluations: int, eta: int, batch: int, max_kimg: float
) -> None:
    train = train_of(evaluations, batch, max_kimg)
    images = rungs(train, eta)
    assert images[-1] == train.max_images and images == sorted(set(images))
    assert all(rung % train.eval_images == 0 for rung in images)
    assert abs(images[0] - train.max_images / 10) <= train.eval_images / 2 or images[0] == train.eval_images
    assert all(after == eta * before for before, after in pairwise(images[:-1]))
    assert images[-1] <= eta * (images[-2] if len(images) > 1 else images[-1])


@st.composite
def searches(draw: st.DrawFn) -> tuple[list[list[float]], list[int]]:
    """FIDs of several trials at all evaluations, and the order in which they report."""
    trials = draw(st.integers(1, 6))
    fid = st.integers(1, 12).map(float)
    evaluations = TRAIN.evaluations
    fids = draw(st.lists(st.lists(fid, min_size=evaluations, max_size=evaluations), min_size=trials, max_size=trials))
    return fids, draw(st.permutations([number for number in range(trials) for _ in range(evaluations)]))


@given(searches(), st.integers(2, 4))
def test_asha_decides_as_ray_s_own(search: tuple[list[list[float]], list[int]], eta: int) -> None:
    fids, order = search
    images = rungs(TRAIN, eta)
    policy = ASHA().policy(images, eta)
    theirs = ASHAScheduler(
        time_attr="images", metric="fid", mode="min", max_t=images[-1], grace_period=images[0], reduction_factor=eta
    )
    trials = [SimpleNamespace(trial_id=str(number)) for number in range(len(fids))]
    for trial in trials:
        theirs.on_trial_add(None, trial)
    steps, stopped = [0] * len(fids), set()
    for number in order:
        steps[number] += 1
        at, fid = steps[number] * TRAIN.eval_images, fids[number][steps[number] - 1]
        if number in stopped or at == images[-1]:  # Ray's scheduler ends a trial at the full length by itself
            continue
        expected = theirs.on_trial_result(None, trials[number], {"images": at, "fid": fid})
        assert policy(str(number), at, fid) is (expected == CONTINUE)
        stopped |= {number} if expected == STOP else set()


def scheduler_of(images: list[int]) -> PolicyScheduler:
    return PolicyScheduler(ASHA().policy(images, ETA), images)


def ray_trial(number: int) -> Any:
    """What Tune's trial has that the scheduler looks at; Ray's own id is another one after every start."""
    return SimpleNamespace(trial_id=f"ray-{number}", config={"root_id": f"{number:04d}"})


def start(number: int) -> Start:
    return Start(trial_id=f"{number:04d}", number=number, params={}, origin="sampled", seed=0)


def evaluation(number: int, step: int, fid: float, time: int) -> Eval:
    measures: dict[str, Any] = dict.fromkeys(
        ("train_seconds", "eval_seconds", "d_loss_real", "d_loss_fake", "g_loss", "images_per_second"), 0.0
    )
    kimg = step * TRAIN.eval_images / 1000
    stamp = f"2025-01-01T00:{time // 60:02d}:{time % 60:02d}.000+00:00"
    return Eval(trial_id=f"{number:04d}", number=number, kimg=kimg, fid=fid, protocol="p", time=stamp, **measures)


class Tune:
    """Plays the part of Tune's loop: reports evaluations in a given order of trials and obeys the scheduler."""

    def __init__(self, fids: list[list[float]]) -> None:
        self.fids = fids
        self.scheduler = scheduler_of(RUNGS)
        self.rows: list[Row] = []
        self.ended: set[int] = set()
        self.decisions: list[tuple[int, int, str]] = []
        self.steps = [0] * len(fids)
        for number in range(len(fids)):
            self.rows.append(start(number))

    def report(self, number: int, *, end: bool = True) -> None:
        """The next evaluation of a trial; without `end` the driver dies before it writes that the trial ended."""
        if number in self.ended:
            return
        self.steps[number] += 1
        row = evaluation(number, self.steps[number], self.fids[number][self.steps[number] - 1], len(self.rows))
        self.rows.append(row)
        result = {"images": row.images, "fid": row.fid}
        decision = self.scheduler.on_trial_result(None, ray_trial(number), result)
        self.decisions.append((number, self.steps[number], decision))
        whole = self.steps[number] == TRAIN.evaluations
        if decision == STOP or whole:
            self.ended.add(number)
            if end:
                self.rows.append(Ledger(self.rows)[f"{number:04d}"].ended("completed" if whole else "stopped"))

    def resume(self) -> list[str]:
        """A new driver: all it has is the rows."""
        self.scheduler = scheduler_of(RUNGS)
        return self.scheduler.replay(Ledger(self.rows))


@given(searches(), st.data())
def test_an_interruption_changes_no_decision(search: tuple[list[list[float]], list[int]], data: st.DataObject) -> None:
    fids, order = search
    cut = data.draw(st.integers(0, len(order)))
    whole, broken = Tune(fids), Tune(fids)
    for number in order:
        whole.report(number)
    for number in order[:cut]:
        broken.report(number)
    assert broken.resume() == []
    for number in order[cut:]:
        broken.report(number)
    assert broken.decisions == whole.decisions


def test_worse_than_the_best_third_is_stopped_at_a_rung_and_only_there() -> None:
    tune = Tune([[5.0] * 9, [4.0] * 9, [9.0] * 9, [4.9] * 9])
    for number in (0, 1, 2, 3):
        tune.report(number)
    assert tune.decisions == [(0, 1, CONTINUE), (1, 1, CONTINUE), (2, 1, STOP), (3, 1, STOP)]
    tune.fids[0][1] = 1000.0
    tune.report(0)
    assert tune.decisions[-1] == (0, 2, CONTINUE)
    tune.report(1)
    tune.report(1)
    tune.report(0)
    assert tune.decisions[-1] == (0, 3, STOP)


def test_a_trial_that_was_stopped_but_not_ended_is_named() -> None:
    tune = Tune([[5.0] * 9, [9.0] * 9, [1.0] * 9])
    tune.report(0)
    tune.report(1, end=False)
    tune.report(2)
    assert tune.decisions == [(0, 1, CONTINUE), (1, 1, STOP), (2, 1, CONTINUE)]
    assert tune.resume() == ["0001"]


def test_a_trial_that_came_to_its_full_length_was_not_stopped() -> None:
    """Its end is still to be written, and is `completed`."""
    tune = Tune([[5.0] * 9])
    for _ in range(9):
        tune.report(0, end=False)
    assert tune.decisions[-1] == (0, 9, CONTINUE)
    assert tune.resume() == []


LONG = rungs(train_of(30, max_kimg=30 * TRAIN.eval_images / 1000), ETA, first=1)


def test_a_trial_that_continues_another_has_passed_its_rungs_and_a_final_passes_none() -> None:
    tune = Tune([[4.0] * 8 + [100.0], [5.0] * 9])
    for number in (1, 0) * 9:
        tune.report(number)
    longer = replace(start(2), parent="0001", relation="continuation")
    final = replace(start(3), parent="0001", relation="final", origin="final")
    rows = [*tune.rows, longer, evaluation(2, 10, 3.0, 100), final, evaluation(3, 1, 1.0, 101)]
    scheduler = scheduler_of(LONG)
    assert scheduler.replay(Ledger(rows)) == []
    chosen = replace(start(4), parent="0000", relation="continuation")
    assert scheduler_of(LONG).replay(Ledger([*rows, chosen])) == [], "that its parent was behind is known and past"
    continuing = SimpleNamespace(trial_id="ray", config={"root_id": "0001"})
    bad = {"images": 11 * TRAIN.eval_images, "fid": 1e6}
    assert scheduler.on_trial_result(None, continuing, bad) == CONTINUE
    assert scheduler.on_trial_result(None, continuing, bad | {"images": RUNGS[0]}) == CONTINUE  # passed by its parent
    assert scheduler.on_trial_result(None, continuing, bad | {"images": LONG[-2]}) == CONTINUE  # the first there
    let_through = SimpleNamespace(trial_id="ray", config={"root_id": None})
    assert scheduler.on_trial_result(None, let_through, bad | {"images": RUNGS[0]}) == CONTINUE
    other = SimpleNamespace(trial_id="ray", config={"root_id": "0007"})
    assert scheduler.on_trial_result(None, other, bad | {"images": RUNGS[0]}) == STOP


def test_a_result_without_an_fid_is_passed_over() -> None:
    result = {"images": RUNGS[0], "diverged": "non-finite loss at 0.1 kimg", "done": True}
    assert scheduler_of(RUNGS).on_trial_result(None, ray_trial(0), result) == CONTINUE
