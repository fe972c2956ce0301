"""What a search knows of the parameters that it has tried: a statement about merit, which samplers learn from."""

from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from typing import Any

from gansearch.run.ledger import Ledger, key_of
from gansearch.search.ranked import discard


class History:
    """The trials of a search by number. Finals say nothing of parameters and are left out.

    A trial that continues another counts as that one. A trial that waits, trains, was stopped or failed
    is known at the rungs that it reached, and unknown at higher ones: neither good nor bad.

    Attributes:
        rungs: The images at which trials are compared, the full length last.
        params: The parameters of each trial; `add` adds a trial.
        fids: For each rung the trials that came there, each with its FID there.
        running: The trials that train now.
        diverged: The trials that diverged or do not fit their GPU, sorted: they have no FID here, and are worse than
            all others.
    """

    def __init__(self, rungs: Sequence[int]) -> None:
        self.rungs = tuple(rungs)
        self.params: dict[int, Mapping[str, Any]] = {}
        self.fids: dict[int, dict[int, float]] = {rung: {} for rung in self.rungs}
        self.running: set[int] = set()
        self.diverged: list[int] = []
        self._keys: set[str] = set()
        # Sorted, (FID, number): all trials that came to a rung, and those that came no further. With a hundred thousand
        # trials there is no time to sort them for each proposal.
        self._reached: dict[int, list[tuple[float, int]]] = {rung: [] for rung in self.rungs}
        self._no_further: dict[int, list[tuple[float, int]]] = {rung: [] for rung in self.rungs}

    @classmethod
    def of(cls, ledger: Ledger, rungs: Sequence[int]) -> "History":
        history = cls(rungs)
        for trial_id in ledger:
            history.update(ledger, trial_id)
        return history

    def update(self, ledger: Ledger, trial_id: str) -> None:
        """Takes account of what the ledger knows of a trial by now."""
        trial = ledger[trial_id]
        if trial.is_final:
            return
        number = ledger[ledger.root_id(trial_id)].number
        self.running.discard(number)
        if number not in self.params:
            self.add(number, trial.start.params)
        if trial.status in {"diverged", "infeasible"}:
            self.add_divergence(number)
            return
        if trial.status == "running":
            self.running.add(number)
        for rung in self.rungs:
            if rung <= trial.images and number not in self.fids[rung]:
                fid = ledger.fid_at(trial_id, rung)
                if fid is not None:
                    self.add_fid(number, rung, fid)

    def add(self, number: int, params: Mapping[str, Any]) -> None:
        """Adds a trial, of which nothing is known yet."""
        self.params[number] = params
        self._keys.add(key_of(params))

    def knows(self, params: Mapping[str, Any]) -> bool:
        """Returns whether a trial has these parameters."""
        return key_of(params) in self._keys

    def add_fid(self, number: int, rung: int, fid: float) -> None:
        """Adds the FID of a trial at a rung. The rungs of a trial come in their order."""
        self.fids[rung][number] = fid
        insort(self._reached[rung], (fid, number))
        insort(self._no_further[rung], (fid, number))
        before = self.rungs.index(rung) - 1
        if before >= 0 and number in self.fids[self.rungs[before]]:
            discard(self._no_further[self.rungs[before]], (self.fids[self.rungs[before]][number], number))

    def add_divergence(self, number: int) -> None:
        """Forgets the FIDs of a trial that has diverged."""
        for rung, fids in self.fids.items():
            if number in fids:
                entry = (fids.pop(number), number)
                discard(self._reached[rung], entry)
                discard(self._no_further[rung], entry)
        at = bisect_left(self.diverged, number)
        if self.diverged[at : at + 1] != [number]:
            self.diverged.insert(at, number)

    def highest_rung(self, results: int) -> int | None:
        """Returns the highest rung that at least so many trials reached; None where there is none."""
        return next((rung for rung in reversed(self.rungs) if len(self.fids[rung]) >= results), None)

    def ranked(self, rung: int) -> list[tuple[float, int]]:
        """Returns the trials known at a rung or below it, as (FID, number).

        Those that came further are first, then those with the lower FID where they came to.
        """
        ranked = list(self._reached[rung])
        for other in reversed(self.rungs[: self.rungs.index(rung)]):
            ranked += self._no_further[other]
        return ranked
