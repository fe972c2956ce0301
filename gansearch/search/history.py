"""What a search knows of the parameters that it has tried: a statement about merit, which samplers learn from."""

from collections.abc import Mapping, Sequence
from typing import Any

from gansearch.run.ledger import Ledger


class History:
    """The trials of a search by number. Finals say nothing of parameters and are left out.

    A trial that continues another counts as that one. A trial that waits, was stopped, was cut by a budget or failed
    is known at the rungs that it reached, and unknown at higher ones: neither good nor bad.

    Attributes:
        rungs: The images at which trials are compared, the full length last.
        params: The parameters of each trial.
        fids: For each rung the trials that came there, each with its lowest FID up to there.
        running: The trials that train now.
        diverged: The trials that diverged: they have no FID here, as they are worse than all others.
    """

    def __init__(self, rungs: Sequence[int]) -> None:
        self.rungs = tuple(rungs)
        self.params: dict[int, Mapping[str, Any]] = {}
        self.fids: dict[int, dict[int, float]] = {rung: {} for rung in self.rungs}
        self.running: set[int] = set()
        self.diverged: set[int] = set()

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
        if trial.status == "failed":
            return
        self.params.setdefault(number, trial.start.params)
        if trial.status == "diverged":
            for fids in self.fids.values():
                fids.pop(number, None)
            self.diverged.add(number)
            return
        if trial.status == "running":
            self.running.add(number)
        for rung in self.rungs:
            if rung <= trial.images and number not in self.fids[rung]:
                fid = ledger.fid_at(trial_id, rung)
                if fid is not None:
                    self.fids[rung][number] = fid

    def highest_rung(self, results: int) -> int | None:
        """Returns the highest rung that at least so many trials reached; None where there is none."""
        return next((rung for rung in reversed(self.rungs) if len(self.fids[rung]) >= results), None)

    def ranked(self, rung: int) -> list[int]:
        """Returns the trials known at a rung or below it: those that came further first, then by their FID there."""
        found: dict[int, None] = {}
        for other in reversed([one for one in self.rungs if one <= rung]):
            fids = self.fids[other]
            found |= dict.fromkeys(sorted(fids.keys() - found.keys(), key=lambda number: (fids[number], number)))
        return list(found)
