"""What failures mean, on a virtual cluster whose trials and nodes fail for reasons that the test knows."""

import itertools
import random
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest
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
    """Trials on nodes. An evaluation comes after about an hour, a failure too, or after seconds where they are `quick`.

    `trials` start one after another, as slots become free; one that fails is tried again after another one.
    """

    def __init__(
        self,
        chance: random.Random,
        fails: Fails,
        *,
        trials: int,
        nodes: int,
        slots: int = 1,
        intervals: int = 4,
        quick: bool = False,
    ) -> None:
        self.chance, self.fails, self.intervals, self.quick = chance, fails, intervals, quick
        self.slots = {f"node {number}": slots for number in range(nodes)}
        self.new = deque(range(trials))
        self.ledger, self.queue = Ledger(), TrialQueue()
        self.health = Health(self.ledger, self.queue)
        self.running: dict[str, str] = {}  # nodes by trial
        self.due: dict[str, float] = {}  # by trial
        self.failed: set[str] = set()
        self.failures, self.now = 0, 0.0

    def start(self) -> str:
        """A new trial starts."""
        number = self.new.popleft()
        trial_id = trial_id_of(number)
        self.ledger.add(Start(trial_id=trial_id, number=number, params={"x": number}, origin="sampled", seed=0))
        return trial_id

    def next(self) -> str | None:
        """The trial that starts next, as the searcher chooses it."""
        if not self.queue.another_first and (earlier := self.queue.earlier()):
            return earlier.trial_id
        self.queue.another_first = False
        if self.new:
            return self.start()
        earlier = self.queue.earlier()
        return earlier.trial_id if earlier else None

    def finish(self) -> "VirtualCluster":
        for _ in range(PATIENCE):
            if self.health.ends is not None:
                return self
            self._fill()
            if not self.running:
                self.health.settle()
                self._end_blamed()
                return self
            self.event(min(self.running, key=self.due.__getitem__))
        raise AssertionError("the search does not end")

    def _fill(self) -> None:
        for node, slots in self.slots.items():
            while list(self.running.values()).count(node) < slots and node not in self.health.avoided(self.slots):
                trial_id = self.next()
                if trial_id is None:
                    return
                if node in self.health.avoided(self.slots, trial_id):
                    self.queue.unfinished.appendleft(self.ledger[trial_id])
                    break
                self.running[trial_id] = node
                self.health.began(trial_id, self.now)
                self._wait(trial_id)

    def _wait(self, trial_id: str) -> None:
        is_quick = self.quick and self.fails(trial_id, self.running[trial_id]) is not None
        self.due[trial_id] = self.now + 3600 * self.chance.uniform(0.5, 1.5) / (300 if is_quick else 1)

    def event(self, trial_id: str) -> None:
        """A trial comes to its next evaluation, or fails."""
        trial, node = self.ledger[trial_id], self.running[trial_id]
        self.now, reason = self.due[trial_id], self.fails(trial_id, node)
        if reason is not None:
            del self.running[trial_id]
            self.fail(trial_id, node, *reason)
            return
        seconds = {"kimg": trial.kimg + 1, "protocol": "p", **MEASURES}
        self.ledger.add(Eval(trial_id=trial_id, number=trial.number, **seconds))
        self.health.evaluated(trial_id, node, self.now)
        self._end_blamed()
        if len(trial.evals) == self.intervals:
            del self.running[trial_id]
            self.health.over(trial_id)
        else:
            self._wait(trial_id)

    def fail(self, trial_id: str, node: str, cause: Cause, has_begun: bool = True) -> None:
        self.failures += 1
        self.now += 1
        self.health.failed(
            Failure(trial_id=trial_id, cause=cause, reason="no", node=node, has_begun=has_begun, at=self.now),
            self.slots,
        )
        self._end_blamed()

    def _end_blamed(self) -> None:
        for failure in self.health.blamed():
            trial = self.ledger[failure.trial_id]
            self.ledger.add(trial.ended("failed", failure.reason, cause=failure.cause))
            self.failed.add(failure.trial_id)

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


any_cause = st.sampled_from(["lost", "timeout", "error", "storage", "refused"])


@given(chances, any_cause, st.booleans(), st.booleans(), st.integers(1, 40), st.integers(1, 3))
def test_a_broken_node_among_others_fails_no_trial_and_ends_no_search(
    chance: random.Random, cause: Cause, begins: bool, quick: bool, trials: int, slots: int
) -> None:
    """Also where all fails on it in seconds, while the others are in the first hour of their trials."""
    for nodes in (2, 3, 8):
        search = VirtualCluster(
            chance,
            lambda _, node: (cause, begins) if node == "node 1" else None,
            trials=trials,
            nodes=nodes,
            slots=slots,
            quick=quick,
        ).finish()
        assert search.failed == set()
        assert search.completed == set(search.ledger)
        assert search.health.ends is None
        assert search.health.broken <= {"node 1"}


def test_processes_that_raise_in_their_start_end_a_search_soon() -> None:
    search = VirtualCluster(random.Random(0), lambda *_: ("error", False), trials=1, nodes=1, quick=True).finish()
    assert search.health.ends is not None
    assert search.failures == 8


@given(chances, any_cause, st.booleans())
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
    search = VirtualCluster(random.Random(0), lambda *_: None, trials=4, nodes=1)
    search.start()
    for _ in range(200):
        search.fail("0000", "node 0", "lost", has_begun=False)
    assert (search.failed, search.health.ends, search.health.broken) == (set(), None, set())


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


def test_a_trial_avoids_the_node_that_it_failed_on_but_where_that_is_the_last() -> None:
    """A trial fails too often on one of two nodes, so that either may be at fault; then the other node is lost."""
    search = VirtualCluster(random.Random(0), lambda *_: None, trials=2, nodes=2)
    trial_id = search.start()
    for _ in range(3):
        search.fail(trial_id, "node 1", "error")
    assert search.health.avoided(search.slots, trial_id) == {"node 1"}
    assert search.health.avoided(search.slots) == search.health.avoided(["node 1"], trial_id) == set()
    search.health.over(trial_id)  # it diverges elsewhere
    assert search.health.avoided(search.slots, trial_id) == set()


def test_while_others_are_in_their_first_interval_nobody_is_to_blame() -> None:
    """A trial that fails at once says nothing of those that need an hour for an evaluation."""
    search = VirtualCluster(random.Random(0), lambda *_: None, trials=3, nodes=1, slots=2)
    faulty = search.start()
    for _ in range(3):
        search.queue.earlier()
        search.fail(faulty, "node 0", "error")
    assert search.health.is_accused(faulty) and not search.queue.again
    search._fill()  # with what begins after it had failed
    assert search.failed == set() and search.health.ends is None
    search.event("0001")
    assert search.failed == {faulty} and not search.health.is_accused(faulty)


def test_what_began_before_a_fault_does_not_show_that_the_fault_is_over() -> None:
    """A mount is lost: what has its images in memory goes on, and nothing else can start."""
    search = VirtualCluster(random.Random(0), lambda *_: None, trials=40, nodes=1, slots=4, intervals=100, quick=True)
    search._fill()
    old = set(search.running)
    del search.running["0000"]
    search.fails = lambda id, _: None if id in old else ("error", True)
    search.finish()
    assert search.failed == set()
    assert search.health.ends is not None


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("share", [0.05, 0.3])
@pytest.mark.parametrize(("nodes", "slots"), [(1, 1), (1, 8), (12, 1), (12, 8)])
def test_configurations_that_fail_at_once_end_no_search(seed: int, share: float, nodes: int, slots: int) -> None:
    """Each is out of memory within seconds, when an evaluation takes an hour: only they fail, all else is trained."""
    trials, chance = max(30, 3 * nodes * slots), random.Random(seed)
    faulty = {trial_id_of(number) for number in range(trials) if chance.random() < share}
    search = VirtualCluster(
        chance,
        lambda id, _: ("error", True) if id in faulty else None,
        trials=trials,
        nodes=nodes,
        slots=slots,
        intervals=2,
        quick=True,
    ).finish()
    assert search.health.ends is None
    assert search.failed == faulty and search.completed == search.ledger.keys() - faulty


@given(chances, st.integers(1, 6))
def test_faulty_trials_of_an_earlier_driver_do_not_end_the_next_one(chance: random.Random, slots: int) -> None:
    search = VirtualCluster(
        chance, lambda id, _: ("error", True) if id < "0006" else None, trials=30, nodes=1, slots=slots, quick=True
    )
    search.queue.unfinished.extend(search.ledger[search.start()] for _ in range(6))
    search.finish()
    assert search.health.ends is None
    assert search.failed == {trial_id_of(number) for number in range(6)}
    assert len(search.completed) == 24


def test_a_node_that_is_well_again_gets_trials_again() -> None:
    search = VirtualCluster(random.Random(0), lambda *_: None, trials=20, nodes=2)
    search._fill()
    for trial_id in [search.start() for _ in range(8)]:
        search.fail(trial_id, search.running["0000"], "error")
    assert search.health.broken == {search.running["0000"]}
    search.event("0000")
    assert search.health.broken == set()
