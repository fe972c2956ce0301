"""How fast the trials of a search train, and how many go on from a rung: what its rows say so far."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime

from gansearch.run.ledger import Ledger
from gansearch.run.rows import Decision, End, Eval, Noise, Row, Start

_NEWEST = 200  # trials whose speed counts


class Pace:
    """The seconds that each trial takes from one evaluation to the next, by the times of the rows.

    This is the wall clock, so it covers training, FID, artifacts, the checkpoint and the way to the driver, beside all
    other trials that run at once. Of the first evaluation of a trial in a driver, the seconds that the trial itself has
    measured count. What the rows say beyond them is the start of an actor's process for the first trial on each slot,
    which happens once, and the `turnaround` for every other.

    Args:
        slots: How many trials run at once.
    """

    def __init__(self, slots: int) -> None:
        self._slots, self._handed_out = slots, 0
        self.since: dict[str, float] = {}  # when each trial that runs was evaluated last, or was handed out
        self._fresh: set[str] = set()  # the trials without an evaluation since they were handed out
        self._held: set[str] = set()
        self._measured: dict[str, tuple[int, float]] = {}  # evaluations and their seconds, by trial
        self._evaluations, self._seconds = 0, 0.0  # of all trials
        self._turnarounds: tuple[int, float] = (0, 0.0)

    def note(self, row: Row) -> None:
        """Takes account of a row of this driver."""
        time, trial_id = seconds_of(row), row.trial_id
        match row:
            case Start():
                self._hand_out(trial_id, time)
            case Eval():
                self._evaluated(row, time)
            case Decision(verdict="goes on"):
                if trial_id in self._held:
                    self._hand_out(trial_id, time)
            case Decision() | End():
                self._held.add(trial_id)
                self._fresh.discard(trial_id)
                self.since.pop(trial_id, None)

    def _hand_out(self, trial_id: str, time: float) -> None:
        self._handed_out += 1
        self._held.discard(trial_id)
        self.since[trial_id] = time
        if self._handed_out > self._slots:
            self._fresh.add(trial_id)

    def _evaluated(self, row: Eval, time: float) -> None:
        own = row.train_seconds + row.eval_seconds
        took = time - self.since.get(row.trial_id, time)
        evaluations, seconds = self._measured.get(row.trial_id, (0, 0.0))
        if row.trial_id in self._fresh:
            count, total = self._turnarounds
            self._turnarounds = count + 1, total + max(0.0, took - own)
        if row.trial_id in self._fresh or not evaluations:
            took = own
        self._fresh.discard(row.trial_id)
        took = max(took, own)
        self._measured[row.trial_id] = evaluations + 1, seconds + took
        self._evaluations += 1
        self._seconds += took
        self.since[row.trial_id] = time

    @property
    def turnaround(self) -> float:
        """The mean of the seconds between two trials in one slot."""
        count, total = self._turnarounds
        return total / count if count else 0.0

    def of(self, trial_id: str, now: float) -> float | None:
        """Returns the seconds of one evaluation of a trial; None where nothing is known.

        Those of the evaluation that it trains for now are at least what is over of them.
        """
        evaluations, seconds = self._measured.get(trial_id, (0, 0.0))
        elapsed = now - self.since.get(trial_id, now)
        if evaluations:
            return max(seconds / evaluations, elapsed)
        return elapsed if trial_id in self._fresh and elapsed * self._evaluations > self._seconds else None

    def all(self, now: float) -> list[float]:
        """Returns the seconds of one evaluation of each of the newest trials."""
        newest = list(dict.fromkeys([*self._measured, *self._fresh]))[-_NEWEST:]
        return [pace for trial_id in newest if (pace := self.of(trial_id, now)) is not None]


class Survival:
    """How many trials came to each rung, went on from there, wait there, or were lost before it.

    A trial that continues another one counts as that one. Finals are never compared, and do not count.

    Args:
        rungs: The images at which trials are compared, the full length last.
    """

    def __init__(self, rungs: Sequence[int]) -> None:
        self._rungs = rungs
        self.reached: list[set[str]] = [set() for _ in rungs]
        self.passed: list[set[str]] = [set() for _ in rungs]
        self.waiting: list[dict[str, str]] = [{} for _ in rungs]  # the newest trial of each root
        self.lost = [0 for _ in rungs]

    def note(self, row: Row, ledger: Ledger) -> None:
        """Takes account of a row that the ledger has."""
        if isinstance(row, Start | Noise) or ledger[row.trial_id].is_final:
            return
        root, images = ledger.root_id(row.trial_id), row.images
        match row:
            case Eval():
                self._came_to(root, images)
            case Decision() if images in self._rungs:
                rung = self._rungs.index(images)
                self.waiting[rung].pop(root, None)
                if row.verdict == "goes on":
                    self.passed[rung].add(root)
                elif row.verdict == "waits":
                    self.waiting[rung][root] = row.trial_id
            case End(status="diverged" | "infeasible" | "failed"):
                self.lost[min(bisect_right(self._rungs, images), len(self._rungs) - 1)] += 1

    def counts(self) -> list[tuple[int, int, int]]:
        """Returns for each rung how many trials came there, went on from there, and were lost on the way there."""
        return [
            (len(reached), len(passed), lost)
            for reached, passed, lost in zip(self.reached, self.passed, self.lost, strict=True)
        ]

    def is_undecided(self, trial_id: str, images: int, ledger: Ledger) -> bool:
        """Returns whether a trial that trains has just come to a rung, so that nothing is decided there yet."""
        if images not in self._rungs[:-1] or ledger[trial_id].is_final:
            return False
        return ledger.root_id(trial_id) not in self.passed[self._rungs.index(images)]

    def _came_to(self, root: str, images: int) -> None:
        for rung, length in enumerate(self._rungs):
            if length <= images:
                self.reached[rung].add(root)
            if length < images:
                self.passed[rung].add(root)
                self.waiting[rung].pop(root, None)


def seconds_of(row: Row) -> float:
    """Returns the time of a row in seconds since 1970."""
    return datetime.fromisoformat(row.time).timestamp()
