"""What failures mean: whether a trial is tried again, which nodes get no more trials, and when a search has to end."""

import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from gansearch.run.ledger import Ledger
from gansearch.run.rows import Cause
from gansearch.search.queue import TrialQueue

_LIMITS: dict[Cause, int] = {"lost": 5, "timeout": 3, "error": 3}
"""How many failures of one cause between two evaluations end a trial that had begun. Other causes are not its own."""
_MOST = 50  # failures of one trial under one driver, however far it came
_TRIALS_IN_A_ROW = 5  # different trials that fail in a row: one of them alone may be faulty
_LOSSES_IN_A_ROW = 12  # processes are killed for reasons of their own, so it takes more of these
_STARTS_IN_A_ROW, _STARTS_SECONDS = 30, 900  # processes that died in their start, as all do while nodes come and go
_STORAGE_IN_A_ROW = 3  # each has waited for the storage for minutes


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

    A failure of a trial counts until its next evaluation, those of a node until an evaluation there, those of the
    search until any evaluation. A lost node counts for nobody. Where a trial has failed too often, but on one node,
    either may be at fault: the trial gets another node, and what becomes of it there decides.

    Attributes:
        broken: The ids of nodes on which trials fail that do not fail elsewhere.
        ends: Why the search has to end; None as long as it can go on.
    """

    def __init__(self, ledger: Ledger, queue: TrialQueue) -> None:
        self.broken: set[str] = set()
        self.ends: str | None = None
        self._ledger, self._queue = ledger, queue
        self._failures: dict[str, list[Failure]] = {}  # by trial, since its last evaluation
        self._totals: Counter[str] = Counter()
        self._rows: dict[str | None, list[Failure]] = {}  # in a row, by node; those of the search under None
        self._suspects: dict[str, str] = {}  # nodes, by the trial that failed there too often

    def avoided(self, nodes: Collection[str]) -> set[str]:
        """Returns those of the nodes that are alive that get no trials. One that is only suspected may be the last."""
        broken = self.broken.intersection(nodes)
        suspects = self.broken.union(self._suspects.values()).intersection(nodes)
        return broken if suspects.issuperset(nodes) else suspects

    def evaluated(self, trial_id: str, node: str) -> None:
        """Takes account of an evaluation: what failed before it was no fault of the trial, the node or the cluster."""
        self._failures.pop(trial_id, None)
        self._rows.pop(node, None)
        self._rows.pop(None, None)
        suspect = self._suspects.pop(trial_id, node)
        if suspect != node:
            self.broken.add(suspect)

    def failed(self, failure: Failure, nodes: Collection[str]) -> bool:
        """Takes account of a failure; returns whether it ends the trial. Else the trial is in the queue again.

        Args:
            failure: The failure.
            nodes: The ids of the nodes that are alive and can hold a trial.
        """
        if failure.cause != "node":
            for row in {None, failure.node}:
                self._rows.setdefault(row, []).append(failure)
            self._judge(failure, nodes)
        if self.ends is None and self._is_to_blame(failure, nodes):
            return True
        is_suspect = failure.has_begun and failure.cause in _LIMITS
        self._queue.try_again(self._ledger[failure.trial_id], is_suspect=is_suspect)
        return False

    def _judge(self, failure: Failure, nodes: Collection[str]) -> None:
        node = failure.node
        if node is not None and (failure.cause == "refused" or _is_broken(self._rows[node])):
            self.broken.add(node)
        failing = {one for one in nodes if one in self.broken or one in self._rows}
        if nodes and self.broken.issuperset(nodes):
            self.ends = f"no node is left on which trials do not fail ({failure.reason})"
        elif 2 * len(failing) >= len(nodes) and _is_broken(self._rows[None]):
            self.ends = f"{len(self._rows[None])} trials in a row failed before an evaluation ({failure.reason})"

    def _is_to_blame(self, failure: Failure, nodes: Collection[str]) -> bool:
        """Whether the trial has failed too often, though others did not, on more than one node if there are more."""
        if not failure.has_begun or failure.cause not in _LIMITS:
            return False
        trial_id, failures = failure.trial_id, self._failures.setdefault(failure.trial_id, [])
        failures.append(failure)
        self._totals[trial_id] += 1
        counts = Counter(one.cause for one in failures)
        if counts[failure.cause] < _LIMITS[failure.cause]:
            return self._totals[trial_id] >= _MOST
        where = {one.node for one in failures}
        others = set(nodes) - self.avoided(nodes) - where
        if failure.node is not None and len(where) == 1 and others and trial_id not in self._suspects:
            self._suspects[trial_id] = failure.node
            failures.clear()
            return False
        self._suspects.pop(trial_id, None)
        if self._ledger.longest_interval:
            return True
        # Nothing shows yet that others do not fail.
        running = [trial.trial_id for trial in self._ledger.values() if trial.status == "running"]
        if self._failures.keys() >= set(running):
            self.ends = f"no trial came to an evaluation ({failure.reason})"
        return self.ends is None and self._totals[trial_id] >= _MOST


def _is_broken(failures: Sequence[Failure]) -> bool:
    """Returns whether so many failures in a row are no accident, and no single trial's fault."""
    storage = [failure for failure in failures if failure.cause == "storage"]
    begun = [failure for failure in failures if failure.cause == "lost" and failure.has_begun]
    starts = [failure for failure in failures if not failure.has_begun]
    trials = {failure.trial_id for failure in failures if failure.cause != "lost"}
    return (
        len(storage) >= _STORAGE_IN_A_ROW
        or len(trials) >= _TRIALS_IN_A_ROW
        or (len(begun) >= _LOSSES_IN_A_ROW and len({failure.trial_id for failure in begun}) > 1)
        or (len(starts) >= _STARTS_IN_A_ROW and starts[-1].at - starts[0].at >= _STARTS_SECONDS)
    )
