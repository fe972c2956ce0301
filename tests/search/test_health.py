"""What failures mean, on a virtual cluster whose trials and nodes fail for reasons that the test knows."""

import itertools
import random
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gansearch.run.ledger import Ledger
from gansearch.run.rows import Cause, Eval, Start, trial_id_of
from gansearch.search.health import Failure, Health
from gansearch.search.queue import TrialQueue

PATIENCE = 3000  # intervals and failures in which each search here comes to its end
MEASURES: dict[str, Any] = dict.fromkeys(
    ("fid", "train_seconds", "eval_seconds", "d_loss_real", "d_loss_fake", "g_loss", "images_per_second"), 1.0
)

Fails = Callable[[str, str], tuple[Cause, bool] | None]
"""Why a trial fails on a node, and whether it has begun before; None where it comes to its next evaluation."""


class VirtualCluster:
    """Trials on nodes of one slot; which one comes to its next event is left to chance."""

    def __init__(self, chance: random.Random, fails: Fails, *, trials: int, nodes: int, intervals: int = 4) -> None:
        self.chance, self.fails, self.intervals = chance, fails, intervals
        self.nodes = [f"node {number}" for number in range(nodes)]
        self.ledger = Ledger(
            [Start(trial_id=trial_id_of(n), number=n, params={"x": n}, origin="sampled", seed=0) for n in range(trials)]
        )
        self.queue = TrialQueue(self.ledger.values())
        self.health = Health(self.ledger, self.queue)
        self.running: dict[str, str] = {}  # trials by node
        self.failed: set[str] = set()
        self.failures = 0

    def finish(self) -> "VirtualCluster":
        for _ in range(PATIENCE):
            if self.health.ends is not None:
                return self
            for node in self.nodes:
                waiting = self.queue.unfinished or self.queue.again
                if waiting and node not in self.running and node not in self.health.avoided(self.nodes):
                    self.running[node] = waiting.popleft().trial_id
            if not self.running:
                return self
            node = self.chance.choice(sorted(self.running))
            self.event(node, self.running[node])
        raise AssertionError("the search does not end")

    def event(self, node: str, trial_id: str) -> None:
        """The trial on a node comes to its next evaluation, or fails."""
        trial, reason = self.ledger[trial_id], self.fails(trial_id, node)
        if reason is not None:
            del self.running[node]
            self.failures += 1
            cause, has_begun = reason
            at = 60.0 * self.failures
            failure = Failure(trial_id=trial_id, cause=cause, reason="no", node=node, has_begun=has_begun, at=at)
            if self.health.failed(failure, self.nodes):
                self.failed.add(trial_id)
            return
        self.ledger.add(Eval(trial_id=trial_id, number=trial.number, kimg=trial.kimg + 1, protocol="p", **MEASURES))
        self.health.evaluated(trial_id, node)
        if len(trial.evals) == self.intervals:
            del self.running[node]

    @property
    def completed(self) -> set[str]:
        return {trial_id for trial_id, trial in self.ledger.items() if len(trial.evals) == self.intervals}


chances = st.randoms(use_true_random=False)
own_causes = st.sampled_from(["lost", "timeout", "error"])  # those of a trial


@given(chances, own_causes, st.integers(0, 11), st.integers(1, 4))
def test_a_faulty_trial_among_good_ones_is_the_only_one_that_fails(
    chance: random.Random, cause: Cause, number: int, nodes: int
) -> None:
    faulty = trial_id_of(number)
    search = VirtualCluster(
        chance, lambda id, _: (cause, True) if id == faulty else None, trials=12, nodes=nodes
    ).finish()
    assert search.failed == {faulty}
    assert search.completed == search.ledger.keys() - {faulty}
    assert (search.health.ends, search.health.broken) == (None, set())


@given(chances, st.sampled_from(["lost", "timeout", "error", "storage", "refused"]), st.integers(1, 20))
def test_a_broken_node_of_three_fails_no_trial(chance: random.Random, cause: Cause, trials: int) -> None:
    broken = "node 1"
    search = VirtualCluster(chance, lambda _, node: (cause, True) if node == broken else None, trials=trials, nodes=3)
    search.finish()
    assert search.failed == set()
    assert search.completed == set(search.ledger)
    assert search.health.ends is None
    assert search.health.broken <= {broken}


@given(chances, st.sampled_from(["lost", "timeout", "error", "storage", "refused"]), st.booleans())
def test_a_search_ends_where_all_nodes_are_broken_and_fails_no_trial(
    chance: random.Random, cause: Cause, begins: bool
) -> None:
    reason: tuple[Cause, bool] = (cause, True) if begins else ("lost", False)
    for nodes in (1, 2, 8):
        search = VirtualCluster(chance, lambda *_: reason, trials=20, nodes=nodes).finish()
        assert search.health.ends is not None
        assert search.failed == set()
        assert search.failures <= 30 * nodes


@given(chances, own_causes, st.booleans(), st.integers(1, 8))
def test_what_breaks_in_the_middle_of_a_search_ends_it_too(
    chance: random.Random, cause: Cause, begins: bool, nodes: int
) -> None:
    reason: tuple[Cause, bool] = (cause, True) if begins else ("lost", False)
    search = VirtualCluster(chance, lambda *_: None, trials=20, nodes=nodes)
    search.fails = lambda *_: reason if len(search.completed) > 5 else None
    search.finish()
    assert search.health.ends is not None
    assert search.failed == set()


@given(st.integers(0, 10**6), st.integers(1, 4))
def test_trials_that_are_lost_now_and_then_are_all_completed(seed: int, nodes: int) -> None:
    chance = random.Random(seed)

    def fails(trial_id: str, node: str) -> tuple[Cause, bool] | None:
        return ("lost", chance.random() < 0.1) if chance.random() < 0.4 else None

    search = VirtualCluster(chance, fails, trials=20, nodes=nodes).finish()
    assert (search.failed, search.health.ends) == (set(), None)
    assert search.completed == set(search.ledger)


def test_a_storm_of_kills_ends_nothing_for_a_while() -> None:
    """Every process dies in its start: a search ends by that where it goes on, not when nodes come and go."""
    search = VirtualCluster(random.Random(0), lambda *_: None, trials=4, nodes=3)
    for number in range(200):
        failure = Failure(trial_id="0000", cause="lost", reason="no", node="node 0", has_begun=False, at=4.0 * number)
        assert not search.health.failed(failure, search.nodes[:1])
    assert (search.health.ends, search.health.broken) == (None, set())


@given(chances, st.floats(0, 0.99))
def test_lost_nodes_end_nothing(chance: random.Random, often: float) -> None:
    search = VirtualCluster(
        chance, lambda *_: ("node", True) if chance.random() < often else None, trials=4, nodes=3
    ).finish()
    assert (search.failed, search.health.ends, search.health.broken) == (set(), None, set())
    assert search.completed == set(search.ledger)


@given(chances, own_causes)
def test_a_trial_that_comes_on_is_tried_again(chance: random.Random, cause: Cause) -> None:
    """It fails before each evaluation, as often as is allowed less once."""
    limit, tries = {"lost": 5, "timeout": 3, "error": 3}[cause], itertools.count()
    search = VirtualCluster(
        chance, lambda *_: (cause, True) if next(tries) % limit != limit - 1 else None, trials=1, nodes=1
    ).finish()
    assert (search.failed, search.health.ends, search.completed) == (set(), None, {"0000"})


def test_a_trial_that_fails_for_ever_is_given_up_however_far_it_came() -> None:
    tries = itertools.count()
    search = VirtualCluster(
        random.Random(0), lambda *_: ("lost", True) if next(tries) % 2 else None, trials=1, nodes=1, intervals=1000
    )
    search.finish()
    assert search.failed == {"0000"}
    assert search.failures == 50


def test_a_suspected_node_gets_trials_again_where_it_is_the_last() -> None:
    """A trial fails too often on one of two nodes, so that either may be at fault; then the other node is lost."""
    search = VirtualCluster(random.Random(0), lambda *_: None, trials=2, nodes=2)
    search.event("node 0", "0000")
    for _ in range(3):
        failure = Failure(trial_id="0001", cause="error", reason="it failed", node="node 1")
        assert not search.health.failed(failure, search.nodes)
    assert search.health.avoided(search.nodes) == {"node 1"}
    assert search.health.avoided(["node 1"]) == set()


def test_while_others_are_in_their_first_interval_nobody_is_to_blame() -> None:
    """A trial that fails at once says nothing of those that need an hour for an evaluation."""
    search = VirtualCluster(random.Random(0), lambda *_: None, trials=3, nodes=1)

    def fail(trial_id: str) -> bool:
        return search.health.failed(Failure(trial_id=trial_id, cause="error", reason="no", node="node 0"), ["node 0"])

    assert not any(fail("0000") for _ in range(4))
    assert search.health.ends is None and search.queue.again[-1].trial_id == "0000"
    search.event("node 0", "0001")
    assert fail("0000")
    assert search.health.ends is None
