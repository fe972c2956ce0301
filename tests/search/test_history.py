"""What a sampler is told of trials that were stopped, cut off or diverged, and what TPE makes of it."""

import math
import random
import statistics
from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from gansearch.run.ledger import Ledger
from gansearch.run.rows import Decision, Status
from gansearch.run.space import Space, When
from gansearch.search.history import History
from gansearch.search.samplers.tpe import TPE
from tests.search.virtual import INTERVAL, SPACE, Rows

RUNGS = (INTERVAL, 3 * INTERVAL, 9 * INTERVAL)


def known(history: History) -> dict[int, dict[int, float]]:
    return {rung // INTERVAL: fids for rung, fids in history.fids.items()}


def test_a_trial_is_known_at_the_rungs_that_it_reached_by_its_fid_there() -> None:
    rows = Rows()
    rows.start(0)
    rows.evals(0, 9.0, 5.0, 7.0, 6.0)
    rows.start(1)
    rows.evals(1, 8.0)
    rows.start(2)
    history = History.of(rows.ledger, RUNGS)
    assert known(history) == {1: {0: 9.0, 1: 8.0}, 3: {0: 7.0}, 9: {}}
    assert history.running == {0, 1, 2}
    assert history.ranked(RUNGS[1]) == [(7.0, 0), (8.0, 1)] and history.ranked(RUNGS[0]) == [(8.0, 1), (9.0, 0)]


def test_a_trial_that_trains_is_unknown_further_up() -> None:
    rows = Rows()
    rows.start(0)
    rows.evals(0, 9.0, 5.0)
    history = History.of(rows.ledger, RUNGS)
    assert known(history) == {1: {0: 9.0}, 3: {}, 9: {}}
    assert history.running == {0} and not history.diverged
    rows.evals(0, 4.0, first=3)
    assert known(History.of(rows.ledger, RUNGS)) == {1: {0: 9.0}, 3: {0: 4.0}, 9: {}}


@pytest.mark.parametrize("status", ["diverged", "infeasible"])
def test_a_trial_that_diverged_or_does_not_fit_is_worse_than_all_and_a_final_is_no_part_of_it(status: Status) -> None:
    rows = Rows()
    rows.start(0)
    rows.evals(0, 2.0, 2.0, 2.0)
    rows.end(0, status, "non-finite loss")
    rows.start(1, parent="0000", relation="final", origin="final")
    rows.evals(1, 1.0)
    history = History.of(rows.ledger, RUNGS)
    assert known(history) == {1: {}, 3: {}, 9: {}}
    assert list(history.diverged) == [0] and history.params.keys() == {0}


def test_a_history_that_follows_the_rows_is_the_one_that_is_read_from_them() -> None:
    rows = _rows_of_a_search()
    ledger, live = Ledger(), History(RUNGS)
    for row in rows:
        ledger.add(row)
        live.update(ledger, row.trial_id)
        assert vars(live) == vars(History.of(ledger, RUNGS))


def test_a_failed_trial_is_the_same_to_a_driver_that_saw_it_fail_and_to_the_next() -> None:
    rows = Rows()
    rows.start(0)
    rows.evals(0, 9.0)
    ledger, live = Ledger(), History(RUNGS)
    for row in [*rows, rows.ledger["0000"].ended("failed", "a lost node")]:
        ledger.add(row)
        live.update(ledger, row.trial_id)
    assert vars(live) == vars(History.of(ledger, RUNGS))


def _rows_of_a_search() -> Rows:
    """Two that diverged late and had been good, thirty that were stopped with good FIDs, and one of full length."""
    rows = Rows()
    for number in range(33):
        rows.start(number, {"optim.g_lr": 1e-3, "optim.beta1": 0.5, "loss.name": "bce"})
    for number in (0, 1):
        rows.evals(number, *[5.0 + number] * 8)
        rows.end(number, "diverged", "non-finite loss")
    for number in range(2, 32):
        rows.evals(number, *[15.0 + number % 7] * (1 + 2 * (number % 2)))
        own: dict[str, Any] = {"trial_id": f"{number:04d}", "number": number}
        kimg = rows.ledger[f"{number:04d}"].kimg
        rows.append(Decision(**own, kimg=kimg, verdict="waits", fid=15.0 + number % 7, cut=15.0, compared=number))
        rows.end(number, "stopped")
    rows.evals(32, *[14.0] * 9)
    rows.end(32, "completed")
    return rows


def test_two_that_diverged_late_are_never_among_tpe_s_good_trials() -> None:
    history = History.of(_rows_of_a_search().ledger, RUNGS)
    for rung in RUNGS[:2]:
        good, others = TPE()._split(history, rung)
        assert good and not {0, 1} & set(good)
        assert {0, 1} <= set(others)


@pytest.mark.parametrize("other", ["optim.d_lr", "loss.clip"])
def test_tpe_proposes_parameters_together(other: str) -> None:
    """The good trials have another rate in proportion to G's, or for their loss a clip: so do the proposals."""
    rates = FloatDistribution(1e-4, 1e-2, log=True)
    space = Space(
        base=SPACE.base,
        params={
            "optim.g_lr": rates,
            "optim.d_lr": rates,
            "loss.name": CategoricalDistribution(["bce", "wgan"]),
            "loss.clip": When("loss.name", "wgan", rates),
        },
    )
    rng, history = random.Random(0), History(RUNGS)
    for number in range(90):
        params: dict[str, Any] = {path: 10 ** rng.uniform(-4, -2) for path in ("optim.g_lr", "optim.d_lr", "loss.clip")}
        history.add(number, {"loss.name": "wgan", **params})
        history.add_fid(number, RUNGS[0], 1 + abs(math.log10(params["optim.g_lr"] / params[other])))
    proposals = [TPE(random_share=0.0).propose(space, history, seed) for seed in range(32)]
    ratios = [abs(math.log10(params["optim.g_lr"] / params[other])) for params in proposals if other in params]
    assert len(ratios) > 16
    assert statistics.median(ratios) < 0.35, "two independent rates are 0.6 decades apart in the median"


def test_a_running_trial_repels_the_next_one_by_what_applies_to_it() -> None:
    """Trials that run where the good ones lie make the others' density higher there; `bce` has no clip to count."""
    history = History(RUNGS)
    rng = random.Random(0)
    for number in range(40):
        rate = 10 ** rng.uniform(-4, -2)
        history.add(number, {"optim.g_lr": rate, "optim.beta1": 0.5, "loss.name": "bce"})
        history.add_fid(number, RUNGS[0], abs(math.log10(rate / 1e-3)))
    free = TPE(random_share=0.0).propose(SPACE, history, 1)
    for number in range(40, 48):
        history.add(number, dict(free))
        history.running.add(number)
    repelled = TPE(random_share=0.0).propose(SPACE, history, 1)
    assert repelled != free
    assert all("loss.clip" not in params for params in history.params.values() if params["loss.name"] == "bce")


def test_trials_that_diverged_come_in_one_order_to_the_driver_that_saw_it_and_to_the_next() -> None:
    """Samplers add kernels in this order, and take every so many: another order would be another proposal."""
    rows = Rows()
    for number in range(3):
        rows.start(number)
    for number in (2, 0, 1):
        rows.end(number, "diverged", "non-finite loss")
    ledger, live = Ledger(), History(RUNGS)
    for row in rows:
        ledger.add(row)
        live.update(ledger, row.trial_id)
    assert list(live.diverged) == list(History.of(ledger, RUNGS).diverged)
