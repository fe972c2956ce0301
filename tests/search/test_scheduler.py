"""Where rungs lie, and what the two forms of ASHA say there."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gansearch.config import TrainConfig, whole_kimg
from gansearch.run.manifest import rungs
from gansearch.search.schedulers.asha import ASHA
from gansearch.search.schedulers.asha_stopping import ASHAStopping
from gansearch.search.schedulers.base import GOES_ON, Ruling

ETA = 3


def train_of(evaluations: int, batch: int = 64, max_kimg: float = 10.0) -> TrainConfig:
    length = whole_kimg(max_kimg, evaluations=evaluations, batch=batch)
    return TrainConfig(evaluations=evaluations, batch=batch, max_kimg=length)


TRAIN = train_of(9)
RUNGS = rungs(TRAIN, ETA)


@pytest.mark.parametrize(
    ("evaluations", "eta", "at"),
    [
        (9, 3, [1, 3, 9]),
        (10, 3, [1, 3, 10]),
        (27, 3, [1, 3, 9, 27]),
        (54, 3, [2, 6, 18, 54]),
        (20, 4, [1, 4, 20]),
        (16, 2, [1, 2, 4, 8, 16]),
        (2, 3, [1, 2]),
        (1, 3, [1]),
    ],
)
def test_rungs_by_hand(evaluations: int, eta: int, at: list[int]) -> None:
    train = train_of(evaluations)
    assert rungs(train, eta) == [step * train.eval_images for step in at]


@given(st.integers(1, 400), st.integers(2, 6), st.integers(2, 300), st.floats(0.1, 5000))
def test_rungs_are_evaluations_from_a_27th_to_the_half_and_the_whole(
    evaluations: int, eta: int, batch: int, max_kimg: float
) -> None:
    train = train_of(evaluations, batch, max_kimg)
    images = rungs(train, eta)
    assert images[-1] == train.max_images and images == sorted(set(images))
    assert all(rung % train.eval_images == 0 for rung in images)
    assert abs(images[0] - train.max_images / 27) <= train.eval_images / 2 or images[0] == train.eval_images
    assert all(after == eta * before for before, after in pairwise(images[:-1]))
    assert all(rung <= train.max_images / 2 for rung in images[1:-1])


@given(st.lists(st.integers(1, 20).map(float), min_size=1, max_size=20), st.integers(2, 4))
def test_asha_stopping_lets_the_first_eta_pass_and_then_the_best_of_those_so_far(fids: list[float], eta: int) -> None:
    """So nobody is stopped by one other alone, whatever eta is."""
    policy = ASHAStopping().policy(RUNGS, eta)
    for number, fid in enumerate(fids):
        ruling = policy.at(f"{number:04d}", RUNGS[0], fid)
        ranked = sorted((fid, number) for number, fid in enumerate(fids[: number + 1]))
        best = ranked[: max(1, len(ranked) // eta)]
        assert ruling.compared == number + 1
        assert ruling.cut == (None if number < eta else best[-1][0])
        assert ruling.verdict == ("goes on" if number < eta or (fid, number) in best else "stops")
        assert policy.at(f"{number:04d}", RUNGS[0], fid) == ruling
        assert policy.at(f"{number:04d}", RUNGS[0] + TRAIN.eval_images, 1e6) == GOES_ON
    assert policy.promote() is None


def test_asha_rules_at_rungs_only_and_says_who_was_compared() -> None:
    policy = ASHA().policy(RUNGS, ETA)
    assert policy.at("0000", RUNGS[0] + TRAIN.eval_images, 50.0) == GOES_ON
    assert policy.at("0000", RUNGS[0], 50.0) == Ruling("goes on", 50.0, 1)
    policy.passed("0000", RUNGS[0])
    assert policy.at("0001", RUNGS[0], 60.0) == Ruling("waits", 50.0, 2)
    assert policy.at("0002", RUNGS[0], 40.0) == Ruling("goes on", 40.0, 3)
    policy.passed("0002", RUNGS[0])
    assert policy.promote() is None
    for number in range(3, 9):
        assert policy.at(f"{number:04d}", RUNGS[0], 100.0).verdict == "waits"
    assert policy.promote() == ("0001", RUNGS[0], Ruling("goes on", 60.0, 9))


def test_those_behind_are_counted_where_a_damaged_row_took_the_others_from_the_first_rung() -> None:
    policy = ASHA().policy(RUNGS, ETA)
    policy.at("0002", RUNGS[0], 5.0)
    policy.at("0000", RUNGS[1], 80.0)
    assert policy.at("0001", RUNGS[1], 70.0) == Ruling("waits", 5.0, compared=3, behind=1)


def test_of_equal_fids_the_earlier_trial_goes_on() -> None:
    """So the order does not depend on which one reported first, which a resumed search could not know."""
    for order in (("0000", "0001"), ("0001", "0000")):
        policy = ASHA().policy(RUNGS, ETA)
        for trial_id in order:
            policy.at(trial_id, RUNGS[0], 5.0)
        assert policy.promote() == ("0000", RUNGS[0], Ruling("goes on", 5.0, 2))


@given(st.lists(st.integers(1, 20), min_size=2, max_size=20, unique=True), st.data())
def test_nobody_waits_behind_a_trial_that_came_to_nothing(fids: list[int], data: st.DataObject) -> None:
    """ASHA rules as if those that diverged or failed had never come, at the strict rung too."""
    lost = set(data.draw(st.lists(st.sampled_from(fids), unique=True)))
    with_lost, without = (ASHA().policy(RUNGS, ETA) for _ in range(2))
    for fid in fids:
        for rung in RUNGS[:-1]:
            with_lost.at(f"{fid:04d}", rung, fid)
            if fid in lost:
                with_lost.passed(f"{fid:04d}", rung)
            else:
                without.at(f"{fid:04d}", rung, fid)
    for fid in lost:
        with_lost.lost(f"{fid:04d}")
    assert with_lost.promote() == without.promote()
    assert (with_lost.promote() is None) == (lost == set(fids))
