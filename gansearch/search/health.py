"""What failures mean: whether a trial is tried again, which nodes get no more trials, and when a search has to end."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from gansearch.run.ledger import Ledger
from gansearch.run.rows import Cause
from gansearch.search.queue import TrialQueue

_LIMITS: dict[Cause, int] = {"lost": 5, "timeout": 3, "error": 3}
"""How many failures of one cause between two evaluations end a trial. Other causes are not the trial's."""
_NEVER_BEGUN = "never begun"
_MOST_NEVER_BEGUN = 10  # processes in a row that died before the trial began: the trial is what kills them
_MOST = 50  # failures of one trial under one driver, however far it came
_TRIALS_IN_A_ROW = 5  # different trials that fail in a row: one of them alone may be faulty
_LOSSES_IN_A_ROW = 12  # processes are killed for reasons of their own, so it takes more of these
_STORAGE_IN_A_ROW = 3  # each has waited for the storage for minutes


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A trial has ended without an evaluation, a divergence or a decision.

    Args:
        trial_id: The trial.
        cause: What failed.
        reason: What happened, on one line.
        node: The id of the trial's node; None where it is not known, as the trial did not begin.
        has_begun: Whether the trial had begun, so that it may have been the cause.
    """

    trial_id: str
    cause: Cause
    reason: str
    node: str | None = None
    has_begun: bool = True


class Health:
    """Judges the failures of the trials of one driver.

    A failure of a trial counts until its next evaluation, those of a node until an evaluation there, those of the
    search until any evaluation. A lost node counts for nobody.

    Attributes:
        avoided: The ids of nodes that shall get no more trials.
        ends: Why the search has to end; None as long as it can go on.
    """

    def __init__(self, ledger: Ledger, queue: TrialQueue) -> None:
        self.avoided: set[str] = set()
        self.ends: str | None = None
        self._ledger, self._queue = ledger, queue
        self._counts: dict[str, Counter[str]] = {}  # by trial, since its last evaluation
        self._totals: Counter[str] = Counter()
        self._rows: dict[str | None, list[Failure]] = {}  # in a row, by node; those of the search under None

    def evaluated(self, trial_id: str, node: str) -> None:
        """Takes account of an evaluation: what failed before it was no fault of the trial, the node or the cluster."""
        self._counts.pop(trial_id, None)
        self._rows.pop(node, None)
        self._rows.pop(None, None)

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
        if self.ends is None and self._is_to_blame(failure):
            return True
        is_suspect = failure.has_begun and failure.cause in _LIMITS
        self._queue.try_again(self._ledger[failure.trial_id], is_suspect=is_suspect)
        return False

    def _judge(self, failure: Failure, nodes: Collection[str]) -> None:
        node = failure.node
        if node is not None and (failure.cause == "refused" or _is_broken(self._rows[node])):
            self.avoided.add(node)
        failing = {one for one in nodes if one in self.avoided or one in self._rows}
        if nodes and self.avoided.issuperset(nodes):
            self.ends = f"no node is left on which trials do not fail ({failure.reason})"
        elif 2 * len(failing) >= len(nodes) and _is_broken(self._rows[None]):
            self.ends = f"{len(self._rows[None])} trials in a row failed before an evaluation ({failure.reason})"

    def _is_to_blame(self, failure: Failure) -> bool:
        """Whether the trial has failed too often, though others did not."""
        counts = self._counts.setdefault(failure.trial_id, Counter())
        if failure.cause in _LIMITS:
            self._totals[failure.trial_id] += failure.has_begun
            counts[failure.cause if failure.has_begun else _NEVER_BEGUN] += 1
        is_over = counts[_NEVER_BEGUN] >= _MOST_NEVER_BEGUN or any(
            counts[cause] >= limit for cause, limit in _LIMITS.items()
        )
        if not is_over:
            return self._totals[failure.trial_id] >= _MOST
        if not self._ledger.longest_interval:
            self.ends = f"no trial came to an evaluation ({failure.reason})"
        return self.ends is None


def _is_broken(failures: Collection[Failure]) -> bool:
    """Returns whether so many failures in a row are no accident."""
    causes = Counter(failure.cause for failure in failures)
    trials = {failure.trial_id for failure in failures if failure.cause != "lost"}
    return (
        len(trials) >= _TRIALS_IN_A_ROW or causes["storage"] >= _STORAGE_IN_A_ROW or causes["lost"] >= _LOSSES_IN_A_ROW
    )
