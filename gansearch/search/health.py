"""What failures mean: whether a trial is tried again, which nodes get no more trials, and when a search has to end."""

import math
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from gansearch.run.ledger import Ledger
from gansearch.run.rows import Cause
from gansearch.search.queue import TrialQueue

_LIMITS: dict[Cause, int] = {"lost": 5, "timeout": 3, "error": 3}
"""How many failures of one cause between two evaluations accuse a trial that had begun; other causes never do."""
_MOST = 50  # failures of one trial under one driver, however far it came
# How many failures are no accident, and no fault of trials. With more slots it takes more, twice as many as there are
# slots: where a part of all configurations fails at once, each slot gets others until it has a good one. With a half of
# them as many fail as there are slots, before the first of the good ones comes to its evaluation.
_TRIALS_IN_A_ROW = 8  # different trials: one of them alone may be faulty
_LOSSES_IN_A_ROW = 12  # processes are killed for reasons of their own, so it takes more of these
_STORAGE_IN_A_ROW = 3  # each has waited for the storage for minutes; all slots fail at once where it is away for longer
_STARTS_IN_A_ROW, _STARTS_SECONDS = 30, 900  # processes that died in their start, as all do while nodes come and go


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A trial has ended without an evaluation, a divergence or a decision.

    Args:
        trial_id: The trial.
        cause: What failed.
        reason: What happened, on one line.
        node: The id of the trial's node; None where it is not known.
        has_begun: Whether the first step of the trial had begun, so that it may have been the cause.
        at: When it happened, in seconds.
    """

    trial_id: str
    cause: Cause
    reason: str
    node: str | None = None
    has_begun: bool = True
    at: float = field(default_factory=time.monotonic)


class Health:
    """Judges the failures of the trials of one driver.

    A failure of a trial counts until its next evaluation. Those of a node and of the search count until a trial that
    began after them, there or anywhere, comes to an evaluation: one that began before may have in memory what others
    can't load any more, and where a trial fails in seconds, an evaluation may take an hour. A lost node counts for
    nobody.

    A trial that has failed too often is accused: it is not tried again until another trial, which began after it had
    failed, comes through. Then the fault was its own. Where it failed on one node only, either may be at fault: first
    the trial gets another node.

    Attributes:
        broken: The ids of nodes on which trials fail that do not fail elsewhere.
        ends: Why the search has to end; None as long as it can go on.
    """

    def __init__(self, ledger: Ledger, queue: TrialQueue, broken: Collection[str] = ()) -> None:
        self.broken = set(broken)
        self.ends: str | None = None
        self._ledger, self._queue = ledger, queue
        self._failures: dict[str, list[Failure]] = {}  # by trial, since its last evaluation
        self._totals: Counter[str] = Counter()
        self._rows: dict[str | None, list[Failure]] = {}  # in a row, by node; those of the search under None
        self._suspects: dict[str, str] = {}  # nodes, by the trial that failed there too often
        self._accused: dict[str, Failure] = {}  # the last failures, by trial
        self._blamed: list[Failure] = []
        self._began: dict[str, float] = {}  # in seconds, by trial
        self._evaluated = -math.inf

    def avoided(self, nodes: Collection[str], trial_id: str | None = None) -> set[str]:
        """Returns those of the nodes that are alive that get no trials, or not this one.

        One on which this trial failed too often may be the last, and is taken then.
        """
        broken = self.broken.intersection(nodes)
        suspect = self._suspects.get(trial_id or "")
        if suspect is None or suspect not in nodes or broken.union({suspect}).issuperset(nodes):
            return broken
        return broken | {suspect}

    def began(self, trial_id: str, at: float | None = None) -> None:
        """Takes account of the first step of a trial."""
        self._began[trial_id] = time.monotonic() if at is None else at

    def evaluated(self, trial_id: str, node: str, at: float | None = None) -> None:
        """Takes account of an evaluation: what failed before the trial began was no fault of the node or the cluster.

        Those that are accused of a failure before that are to blame for it.
        """
        began = self._began.get(trial_id, -math.inf)
        self._evaluated = time.monotonic() if at is None else at
        self._failures.pop(trial_id, None)
        for row in (None, node):
            self._rows[row] = [failure for failure in self._rows.get(row, ()) if failure.at > began]
        self.broken.discard(node)
        suspect = self._suspects.pop(trial_id, node)
        if suspect != node:
            self.broken.add(suspect)
        self._blame(before=began)

    def over(self, trial_id: str) -> None:
        """Takes account of the end of a trial that has not failed."""
        self._failures.pop(trial_id, None)
        self._suspects.pop(trial_id, None)

    def failed(self, failure: Failure, slots: Mapping[str, int]) -> None:
        """Takes account of a failure. The trial is in the queue again, if it is not accused.

        Args:
            failure: The failure.
            slots: How many trials the nodes that are alive can hold, by their ids.
        """
        trial_id = failure.trial_id
        if failure.cause != "node":
            for row in {None, failure.node}:
                self._rows.setdefault(row, []).append(failure)
            self._judge(failure, slots)
        is_suspect = failure.has_begun and failure.cause in _LIMITS
        if is_suspect:
            self._totals[trial_id] += 1
            if self._totals[trial_id] >= _MOST:
                self._blamed.append(failure)
                return
            if self._is_accused(failure, slots):
                self._accused[trial_id] = failure
                return
        self._queue.try_again(self._ledger[trial_id], is_suspect=is_suspect)

    def infeasible(self, failure: Failure, slots: Mapping[str, int]) -> None:
        """Takes account of a trial that did not fit its GPU, and is over. Where none fits, others would not either."""
        for row in {None, failure.node}:
            self._rows.setdefault(row, []).append(failure)
        self._judge(failure, slots)

    def put_back(self, trial_id: str) -> None:
        """Puts a trial into the queue again that has not failed: it has waited in vain for its process."""
        self._queue.try_again(self._ledger[trial_id], is_suspect=False)

    def is_accused(self, trial_id: str) -> bool:
        """Returns whether a trial is not tried again until another one comes through."""
        return trial_id in self._accused

    def blamed(self) -> list[Failure]:
        """Returns the last failures of the trials that have failed by their own fault, each once."""
        blamed, self._blamed = self._blamed, []
        return blamed

    def settle(self) -> None:
        """Decides about those who are still accused when nothing else is left to train.

        Any evaluation after a failure is taken for the proof that others come through. Where there was none, few trials
        are to blame, if trials came through before; with more of them it is not known what is at fault.
        """
        self._blame(before=self._evaluated)
        if self._accused and self.ends is None:
            if len(self._accused) < _TRIALS_IN_A_ROW and self._ledger.longest_interval:
                self._blame(before=math.inf)
            else:
                reason = next(iter(self._accused.values())).reason
                self.ends = f"no other trial came to an evaluation after {len(self._accused)} had failed ({reason})"

    def _blame(self, before: float) -> None:
        for trial_id, failure in list(self._accused.items()):
            if failure.at <= before:
                self._blamed.append(self._accused.pop(trial_id))

    def _judge(self, failure: Failure, slots: Mapping[str, int]) -> None:
        node = failure.node
        if node is not None and (failure.cause == "refused" or _is_broken(self._rows[node], slots.get(node, 1))):
            self.broken.add(node)
        left = {node: number for node, number in slots.items() if node not in self.broken}
        # A broken node may fail many times before the others come to an evaluation, so nodes are judged one by one as
        # long as nothing has failed on some of them.
        is_everywhere = all(self._rows.get(node) for node in left)
        row = [one for one in self._rows[None] if one.node is None or (is_everywhere and one.node in left)]
        if slots and not left:
            self.ends = f"no node is left on which trials do not fail ({failure.reason})"
        elif _is_broken(row, sum(left.values())):
            self.ends = f"{len(row)} trials in a row failed before an evaluation ({failure.reason})"

    def _is_accused(self, failure: Failure, slots: Mapping[str, int]) -> bool:
        """Whether the trial has failed too often now, on more than one node if there are more."""
        failures = self._failures.setdefault(failure.trial_id, [])
        failures.append(failure)
        if sum(one.cause == failure.cause for one in failures) < _LIMITS[failure.cause]:
            return False
        others = slots.keys() - self.broken - {failure.node}
        is_first = others and failure.trial_id not in self._suspects
        if is_first and failure.node is not None and all(one.node == failure.node for one in failures):
            self._suspects[failure.trial_id] = failure.node
            failures.clear()
            return False
        self._suspects.pop(failure.trial_id, None)
        return True


def _is_broken(failures: Sequence[Failure], slots: int) -> bool:
    """Returns whether so many failures in a row are no accident, and no fault of trials, where so many slots are."""
    storage = [failure for failure in failures if failure.cause == "storage"]
    begun = [failure for failure in failures if failure.cause == "lost" and failure.has_begun]
    starts = [failure for failure in failures if not failure.has_begun]
    raised = [failure for failure in starts if failure.cause == "error"]  # not killed: the next ones raise it too
    trials = {failure.trial_id for failure in failures if failure.cause not in {"lost", "storage"}}
    return (
        len(storage) >= max(_STORAGE_IN_A_ROW, slots + 1)
        or max(len(trials), len(raised)) >= max(_TRIALS_IN_A_ROW, 2 * slots)
        or (len(begun) >= max(_LOSSES_IN_A_ROW, 2 * slots) and len({failure.trial_id for failure in begun}) > 1)
        or (len(starts) >= _STARTS_IN_A_ROW and starts[-1].at - starts[0].at >= _STARTS_SECONDS)
    )
