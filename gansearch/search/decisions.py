"""What becomes of a trial at an evaluation: the policy of the search's scheduler, and what earlier drivers decided."""

from gansearch import registry
from gansearch.errors import UserError, kind_and_message
from gansearch.run.ledger import Ledger, TrialState
from gansearch.run.manifest import Plan
from gansearch.run.rows import Decision, End, Eval
from gansearch.search.schedulers.base import GOES_ON, Policy, Ruling, Scheduler


class _Never(Policy):
    """No trial waits or stops."""

    def at(self, trial_id: str, images: int, fid: float) -> Ruling:
        return GOES_ON


class Decisions:
    """Asks the policy, and makes rows of what it says.

    A trial is known by its `root_id`, so that a trial that continues another has passed what the other has. Finals are
    never compared.
    """

    def __init__(self, plan: Plan, ledger: Ledger) -> None:
        """Shows the policy all evaluations so far, in the order of their rows."""
        self._policy, self._full, self._ledger = policy_of(plan), plan.rungs[-1], ledger
        self._newest: dict[str, str] = {}  # of the trials that continue one another, by their root's id
        for row in ledger.rows:
            trial = ledger[row.trial_id]
            match row:
                case Eval() if not trial.is_final and row.images < self._full:
                    self._rule(trial, row.images)
                case Decision(verdict="goes on") | End(status="completed"):
                    self._policy.passed(ledger.root_id(row.trial_id), row.images)

    def at(self, trial: TrialState) -> Decision | None:
        """Returns the decision about a trial at its last evaluation; None where nothing is compared there."""
        if trial.is_final or trial.images >= self._full:
            return None
        ruling = self._rule(trial, trial.images)
        if ruling == GOES_ON:
            return None
        if ruling.verdict == "goes on":
            self._policy.passed(self._ledger.root_id(trial.trial_id), trial.images)
        return self._row(trial, trial.images, ruling)

    def promote(self) -> Decision | None:
        """Returns the decision that a waiting trial goes on, None where none does."""
        found = self._policy.promote()
        if found is None:
            return None
        root_id, images, ruling = found
        self._policy.passed(root_id, images)
        return self._row(self._ledger[self._newest[root_id]], images, ruling)

    def _rule(self, trial: TrialState, images: int) -> Ruling:
        fid = self._ledger.fid_at(trial.trial_id, images)
        assert fid is not None
        root_id = self._ledger.root_id(trial.trial_id)
        self._newest[root_id] = trial.trial_id
        return self._policy.at(root_id, images, fid)

    def _row(self, trial: TrialState, images: int, ruling: Ruling) -> Decision:
        return Decision(
            trial_id=trial.trial_id,
            number=trial.number,
            kimg=images / 1000,
            verdict=ruling.verdict,
            fid=self._ledger.fid_at(trial.trial_id, images) if ruling.compared else None,
            cut=ruling.cut,
            compared=ruling.compared,
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
