"""What is left to do of a run, from its rows alone."""

from collections import deque
from pathlib import Path
from typing import Any

import pytest
from optuna.distributions import FloatDistribution

from gansearch.config import TrialConfig
from gansearch.errors import UserError
from gansearch.run.ledger import Ledger
from gansearch.run.manifest import Options, Plan
from gansearch.run.paths import RunDir
from gansearch.run.rows import Decision, End, Eval, Relation, Row, Start, Status, Verdict
from gansearch.run.space import Space
from gansearch.search.queue import TrialQueue, finals_queue, search_queue

SPACE = Space(base=TrialConfig(), params={"optim.g_lr": FloatDistribution(1e-4, 1e-2)}, baselines=["dcgan", "sngan"])
SEED = 7
FULL = TrialConfig().train.max_kimg


def plan_of(trials: int | None, times: int = 1, **options: Any) -> Plan:
    space = SPACE.replaced(base=SPACE.base.lengthened(times * FULL))
    return Plan(RunDir(Path("runs/none")), space, Options(trials=trials, seed=SEED, **options))


class Rows(list[Row]):
    """Rows of a run, as trials come and go."""

    def trial(
        self,
        status: Status | None,
        *,
        origin: str = "sampled",
        lr: float = 1e-3,
        seed: int = SEED,
        parent: str | None = None,
        relation: Relation | None = None,
        kimg: float = FULL,
        fid: float = 9.0,
        verdict: Verdict | None = None,
    ) -> str:
        """One more trial, still open where `status` is None, and what was decided about it; returns its id."""
        number = sum(isinstance(row, Start) for row in self)
        own: dict[str, Any] = {"trial_id": f"{number:04d}", "number": number}
        params = {"optim.g_lr": lr}
        self.append(Start(**own, params=params, origin=origin, seed=seed, parent=parent, relation=relation))
        measures = dict.fromkeys(
            ("train_seconds", "eval_seconds", "d_loss_real", "d_loss_fake", "g_loss", "images_per_second"), 0.0
        )
        self.append(Eval(**own, kimg=kimg, fid=fid, protocol="p", **measures))
        if verdict is not None:
            self.append(Decision(**own, kimg=kimg, verdict=verdict, fid=fid, cut=fid, compared=1))
        if status is not None:
            self.append(End(**own, status=status, best_fid=fid, best_kimg=kimg, kimg=kimg, reason=None))
        return f"{number:04d}"

    @property
    def ledger(self) -> Ledger:
        return Ledger(self)


def told(queue: TrialQueue) -> list[str]:
    """A queue in words."""
    begun = [f"go on {trial.trial_id}" for trial in queue.unfinished]
    known = [
        f"{one.origin} {one.relation or 'new'} {one.parent or ''}".strip()
        + ("" if one.seed == SEED else f" seed {one.seed}")
        for one in queue.proposals
    ]
    new = queue.new_trials()
    return begun + known + ["without end" if new is None else "sampled"] * (1 if new is None else new - len(known))


def test_baselines_come_first_and_once() -> None:
    rows = Rows()
    assert told(search_queue(plan_of(1), rows.ledger)) == ["baseline:dcgan new"]
    assert told(search_queue(plan_of(3), rows.ledger)) == ["baseline:dcgan new", "baseline:sngan new", "sampled"]
    rows.trial("completed", origin="baseline:dcgan")
    rows.trial(None)
    assert told(search_queue(plan_of(3), rows.ledger)) == ["go on 0001", "baseline:sngan new"]
    assert search_queue(plan_of(1), Rows([row for row in rows if row.number == 0]).ledger).is_empty


def test_the_best_third_of_the_completed_is_lengthened_once_and_costs_no_new_trial() -> None:
    rows = Rows()
    for fid in (9.0, 5.0, 7.0, 8.0, 6.0):
        rows.trial("completed", fid=fid)
    rows.trial("stopped", fid=1.0, kimg=FULL / 3, verdict="waits")
    rows.trial("completed", fid=1.0, origin="final", parent="0000", relation="final", seed=8)
    assert search_queue(plan_of(6), rows.ledger).proposals == deque()
    more = ["sampled continuation 0001", "sampled continuation 0004"]
    assert told(search_queue(plan_of(7, 2), rows.ledger)) == [*more, "baseline:dcgan new"]
    rows.trial("failed", parent="0001", relation="continuation")
    rows.trial("completed", parent="0004", relation="continuation", kimg=2 * FULL)
    assert told(search_queue(plan_of(6, 2), rows.ledger)) == []
    again = told(search_queue(plan_of(6, 2), rows.ledger, retry_failed=True))
    assert again == more[:1], "from where its parent ended, not from nothing"
    assert told(search_queue(plan_of(6, 4), rows.ledger)) == ["sampled continuation 0008"]


def test_extend_lets_those_go_on_whose_fid_is_low_where_they_ended() -> None:
    """A trial goes on from there, however good it was before; the scheduler and the sampler see that FID too."""
    rows = Rows()
    for fid in (3.0, 4.0):
        rows.trial("completed", fid=fid)
    for parent, fid in (("0000", 9.0), ("0001", 8.0)):
        rows.trial("completed", parent=parent, relation="continuation", kimg=2 * FULL, fid=fid)
    assert rows.ledger.fid_at("0002", round(2000 * FULL)) == 9.0
    assert told(search_queue(plan_of(2, 4), rows.ledger)) == ["sampled continuation 0003"]


def test_trials_that_a_budget_cut_or_a_kill_broke_off_go_on_and_those_that_wait_do_not() -> None:
    rows = Rows()
    rows.trial(None, kimg=FULL / 3)
    rows.trial(None, kimg=FULL / 3, verdict="goes on")
    for status in ("stopped", None):
        rows.trial(status, kimg=FULL / 3, verdict="waits")
        rows.trial(status, kimg=FULL / 3, verdict="stops")
    rows.trial(None, origin="final", parent="0000", relation="final", seed=8, kimg=FULL / 3)
    queue = search_queue(plan_of(6), rows.ledger)
    assert [trial.trial_id for trial in queue.unfinished] == ["0000", "0001"]
    assert not queue.proposals and queue.new_trials() == 0 and queue.promotes
    without_number = search_queue(plan_of(None, time_budget=1.0), rows.ledger)
    assert without_number.new_trials() is None and not without_number.is_empty


def test_one_completed_trial_goes_on() -> None:
    rows = Rows()
    rows.trial("completed", origin="baseline:dcgan")
    assert told(search_queue(plan_of(1, 3), rows.ledger)) == ["baseline:dcgan continuation 0000"]


@pytest.mark.parametrize("status", ["failed", "infeasible"])
def test_failed_trials_and_those_that_did_not_fit_are_retried_once(status: Status) -> None:
    rows = Rows()
    rows.trial(status)
    rows.trial("failed", parent="0000", relation="retry")
    rows.trial("failed", origin="final", parent="0000", relation="final", seed=8)
    assert told(search_queue(plan_of(1), rows.ledger)) == []
    assert told(search_queue(plan_of(1), rows.ledger, retry_failed=True)) == ["sampled retry 0001"]


def test_a_final_is_held_for_every_finalist_and_seed_that_has_none() -> None:
    rows = Rows()
    rows.trial("completed", lr=1e-3)
    rows.trial("completed", lr=2e-3)
    rows.trial(None, lr=3e-3)
    finalists = [rows.ledger["0001"], rows.ledger["0000"]]
    expected = [f"final final {parent} seed {seed}" for seed in (8, 9) for parent in ("0001", "0000")]
    assert told(finals_queue(plan_of(9), rows.ledger, finalists, 2)) == expected
    begun = {"origin": "final", "relation": "final"}
    rows.trial("completed", lr=2e-3, seed=8, parent="0001", **begun)
    rows.trial("diverged", lr=1e-3, seed=8, parent="0000", kimg=1.0, **begun)
    rows.trial(None, lr=2e-3, seed=9, parent="0001", **begun)
    left = finals_queue(plan_of(9), rows.ledger, finalists, 2)
    assert told(left) == ["go on 0005", expected[-1]], "nor does 0002, which is the search's, go on"
    assert told(finals_queue(plan_of(9), rows.ledger, finalists[:1], 1)) == []


def test_more_finals_than_trials_are_refused_before_they_are_made() -> None:
    rows = Rows()
    ids = [rows.trial("completed", lr=lr) for lr in (1e-3, 2e-3)]
    finalists = [rows.ledger[trial_id] for trial_id in ids]
    with pytest.raises(UserError, match="2 configurations with 2147483647 seeds each"):
        finals_queue(plan_of(9), rows.ledger, finalists, 2**31 - 1)


@pytest.mark.parametrize("status", ["failed", "infeasible", "stopped", "completed"])
def test_a_final_that_came_to_nothing_or_not_far_enough_is_held_again(status: Status) -> None:
    rows = Rows()
    rows.trial("completed")
    rows.trial(status, origin="final", seed=8, parent="0000", relation="final", kimg=FULL / 2)
    assert told(finals_queue(plan_of(1), rows.ledger, [rows.ledger["0000"]], 1)) == ["final final 0000 seed 8"]


def test_a_search_without_a_number_and_without_a_budget_is_refused() -> None:
    with pytest.raises(UserError, match="neither a number of trials nor a budget"):
        search_queue(plan_of(None), Ledger())
