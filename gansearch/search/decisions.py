"""What becomes of a trial at an evaluation: the policy of the search's scheduler, and what earlier drivers decided."""

from gansearch import registry
from gansearch.errors import UserError, kind_and_message
from gansearch.run.ledger import Ledger, TrialState
from gansearch.run.manifest import Plan
from gansearch.run.rows import Decision, End, Eval, Noise, Row, Start
from gansearch.search.schedulers.base import GOES_ON, Policy, Ruling, Scheduler


class _Never(Policy):
    """No trial waits or stops."""

    def at(self, trial_id: str, images: int, fid: float) -> Ruling:
        return GOES_ON


class Decisions:
    """Shows the rows of a search to its policy, and makes rows of what the policy says.

    A new driver shows its policy the rows of the earlier drivers, in their order, so the policy knows then what that of
    a driver without a break would. A trial is known by its `root_id`, so that a trial that continues another has passed
    what the other has. Finals are never compared.
    """

    def __init__(self, plan: Plan, ledger: Ledger) -> None:
        self._policy, self._rungs, self._ledger = policy_of(plan), plan.rungs, ledger
        self._newest: dict[str, str] = {}  # of the trials that continue one another, by their root's id
        self._passed: dict[str, int] = {}  # the images from which a trial went on for certain, by its root's id
        self._completed: dict[str, int] = {}  # the full length at which a trial was completed, by its root's id
        self._pending: dict[str, Ruling] = {}  # on trials whose last evaluation has no decision yet
        for row in ledger.rows:
            self.note(row)

    def note(self, row: Row) -> None:
        """Takes account of a row that the ledger has."""
        if isinstance(row, Start | Noise) or self._ledger[row.trial_id].is_final:
            return
        root_id = self._ledger.root_id(row.trial_id)
        self._pending.pop(row.trial_id, None)
        match row:
            case Eval():
                self._newest[root_id] = row.trial_id
                self._pass(root_id, row.images - 1)
                if max(self._passed[root_id], self._completed.get(root_id, 0)) < row.images < self._rungs[-1]:
                    self._rule(root_id, row)
            case Decision(verdict="goes on"):
                self._pass(root_id, row.images)
            case End(status="completed"):
                self._completed[root_id] = row.images
                self._policy.ended(root_id)
            case End(status="diverged" | "infeasible" | "failed"):
                self._policy.lost(root_id)

    def _pass(self, root_id: str, images: int) -> None:
        before = self._passed.get(root_id, 0)
        for rung in self._rungs[:-1]:
            if before < rung <= images:
                self._policy.passed(root_id, rung)
        self._passed[root_id] = max(before, images)

    def _rule(self, root_id: str, row: Eval) -> None:
        fid = self._ledger.fid_at(row.trial_id, row.images)
        assert fid is not None
        ruling = self._policy.at(root_id, row.images, fid)
        if ruling != GOES_ON:
            self._pending[row.trial_id] = ruling

    def pending(self, trial: TrialState) -> Decision | None:
        """Returns the decision about a trial at its last evaluation.

        It is None where nothing is compared there, and where the decision is in the rows already.
        """
        ruling = self._pending.get(trial.trial_id)
        return None if ruling is None else self._row(trial, trial.images, ruling)

    def promote(self) -> Decision | None:
        """Returns the decision that a waiting trial goes on, None where none does."""
        return self._promotion(self._policy.promote())

    def release(self) -> Decision | None:
        """Returns the decision that a trial goes on which waits among too few, None where none does."""
        return self._promotion(self._policy.release())

    def _promotion(self, found: tuple[str, int, Ruling] | None) -> Decision | None:
        if found is None:
            return None
        root_id, images, ruling = found
        return self._row(self._ledger[self._newest[root_id]], images, ruling)

    def _row(self, trial: TrialState, images: int, ruling: Ruling) -> Decision:
        return Decision(
            trial_id=trial.trial_id,
            number=trial.number,
            kimg=images / 1000,
            verdict=ruling.verdict,
            fid=self._ledger.fid_at(trial.trial_id, images) if ruling.compared else None,
            cut=ruling.cut,
            compared=ruling.compared,
            behind=ruling.behind,
        )


def policy_of(plan: Plan) -> Policy:
    """Returns a new policy of a plan's scheduler; without a scheduler every trial goes on.

    Raises:
        UserError: The scheduler can't be built.
    """
    if plan.options.scheduler is None:
        return _Never()
    scheduler: Scheduler = registry.build("scheduler", plan.options.scheduler)
    try:
        return scheduler.policy(plan.rungs, plan.options.eta)
    except Exception as error:  # it may be the user's code: whatever is wrong in it is the user's to fix
        raise UserError(f"scheduler {plan.options.scheduler.name}: {kind_and_message(error)}") from error
