"""The trials that a run still has to train. Only the rows decide, so every driver of a run builds the same queue."""

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from gansearch.errors import UserError
from gansearch.run.ledger import Ledger, TrialState
from gansearch.run.manifest import Plan
from gansearch.run.rows import Relation
from gansearch.run.space import MOST_TRIALS
from gansearch.search.feasibility import baseline_params

_GIVEN_UP = {"failed", "infeasible"}  # what another machine may be able to train


@dataclass(frozen=True)
class Proposal:
    """A trial that is yet to start.

    Args:
        params: The values of the parameters; None lets the sampler propose them.
        origin: Who proposed the trial: `baseline:NAME`, `sampled`, `final` or `replay`.
        seed: The seed of the trial.
        parent: The id of the trial that this one follows.
        relation: How this trial follows its parent.
    """

    params: dict[str, Any] | None
    origin: str
    seed: int
    parent: str | None = None
    relation: Relation | None = None


class TrialQueue:
    """The trials to start, in order: first the unfinished ones of an interrupted driver, then new ones.

    `again` are trials that failed and are to be tried again. While `another_first` is set, a new trial, or one that is
    promoted, comes before all that have started, if there is one: it shows whether the fault was the trial's.

    Args:
        unfinished: The trials of an interrupted driver.
        proposals: New trials that are known already.
        sampled: How many trials are to be sampled after these; None has no end, so that a budget ends the search.
        seed: The seed of sampled trials.
        promotes: Whether trials that wait for their promotion are to go on.
    """

    def __init__(
        self,
        unfinished: Iterable[TrialState] = (),
        proposals: Iterable[Proposal] = (),
        sampled: int | None = 0,
        seed: int = 0,
        *,
        promotes: bool = False,
    ) -> None:
        self.unfinished, self.proposals = deque(unfinished), deque(proposals)
        self.promotes = promotes
        self.again: deque[TrialState] = deque()
        self.another_first = False
        self._sampled, self._seed = sampled, seed

    @property
    def is_empty(self) -> bool:
        """Whether no trial is to start; one that waits may still be promoted."""
        return self.count() == 0

    def new_trials(self) -> int | None:
        """Returns how many trials are still to be proposed; None where there is no end."""
        return None if self._sampled is None else len(self.proposals) + self._sampled

    def count(self) -> int | None:
        """Returns how many trials could start now, if there were slots; None where there is no end."""
        new = self.new_trials()
        return None if new is None else new + len(self.unfinished) + len(self.again)

    def try_again(self, trial: TrialState, *, is_suspect: bool) -> None:
        """Puts a trial that has failed into the queue once more: first of all, or after another if it `is_suspect`."""
        if is_suspect:
            self.again.append(trial)
            self.another_first = True
        else:
            self.unfinished.append(trial)

    def earlier(self) -> TrialState | None:
        """Takes the next trial that has started before out of the queue; None where there is none."""
        waiting = self.unfinished or self.again
        return waiting.popleft() if waiting else None

    def exhaust(self) -> None:
        """Samples no more: all parameters have been tried."""
        self._sampled = 0

    def next_proposal(self) -> Proposal | None:
        """Takes the next new trial out of the queue; None where there is none."""
        if self.proposals:
            return self.proposals.popleft()
        if self._sampled == 0:
            return None
        if self._sampled is not None:
            self._sampled -= 1
        return Proposal(None, "sampled", self._seed)


def search_queue(plan: Plan, ledger: Ledger, *, retry_failed: bool = False) -> TrialQueue:
    """Returns the trials to train: failed ones again (with `retry_failed`), continuations, then new ones.

    All trials have the seed of the search, so that trials differ by their parameters, not by luck.

    Raises:
        UserError: Neither a number of trials nor a budget would end the search.
    """
    if (plan.options.trials, plan.options.time_budget, plan.options.gpu_hours) == (None, None, None):
        raise UserError("neither a number of trials nor a budget ends this search: give a time budget or GPU hours")
    trials, seed = list(ledger.values()), plan.options.seed
    followed = {
        (trial.start.relation, trial.start.parent)
        for trial in trials
        if not (retry_failed and trial.start.relation == "continuation" and trial.status in _GIVEN_UP)
    }
    failed = [trial for trial in trials if trial.status in _GIVEN_UP and trial.start.relation in {None, "retry"}]
    again: list[tuple[TrialState, Relation]] = [(trial, "retry") for trial in failed if retry_failed]
    again += [(trial, "continuation") for trial in _to_continue(plan, ledger)]
    proposals = [
        Proposal(trial.start.params, trial.start.origin, trial.start.seed, trial.trial_id, relation)
        for trial, relation in again
        if (relation, trial.trial_id) not in followed
    ]
    origins = {trial.start.origin for trial in trials}
    space, limit = plan.space, plan.options.trials
    missing = None if limit is None else max(0, limit - ledger.num_proposed)
    baselines = [name for name in space.baselines if f"baseline:{name}" not in origins][:missing]
    proposals += [Proposal(baseline_params(space, name), f"baseline:{name}", seed) for name in baselines]
    sampled = None if missing is None else missing - len(baselines)
    unfinished = (trial for trial in trials if trial.is_unfinished and not trial.is_final)
    return TrialQueue(unfinished, proposals, sampled, seed, promotes=True)


def _to_continue(plan: Plan, ledger: Ledger) -> list[TrialState]:
    """Returns the best of the trials completed at each former full length: about one in eta, as at a rung.

    The choice depends on nothing that happens after these trials are completed, so a `resume` chooses the same ones.
    """

    def fid(trial: TrialState) -> float:
        found = ledger.fid_at(trial.trial_id, trial.images)
        return math.inf if found is None else found

    full = plan.space.base.train.max_images
    chosen: list[TrialState] = []
    short = [
        trial
        for trial in ledger.values()
        if trial.status == "completed" and trial.evals and trial.images < full and not trial.is_final
    ]
    for length in sorted({trial.images for trial in short}):
        completed = sorted((trial for trial in short if trial.images == length), key=fid)
        chosen += completed[: max(1, round(len(completed) / plan.options.eta))]
    return chosen


def finals_queue(plan: Plan, ledger: Ledger, finalists: Sequence[TrialState], seeds: int) -> TrialQueue:
    """Returns the finals to train: every finalist's parameters with each of the `seeds` seeds after the search's seed.

    Finals have the full length. A final that was completed, or that diverged, is not trained again.

    Raises:
        UserError: There would be more finals than a run may have trials.
    """
    if len(finalists) * seeds > MOST_TRIALS:
        raise UserError(
            f"{len(finalists)} configurations with {seeds} seeds each: {MOST_TRIALS} finals are the most; give less"
        )
    finals = [trial for trial in ledger.values() if trial.is_final]
    full = plan.space.base.train.max_images
    unfinished, proposals = [], []
    for seed in range(plan.options.seed + 1, plan.options.seed + 1 + seeds):
        for finalist in finalists:
            known = [trial for trial in finals if trial.start.seed == seed and trial.params_key == finalist.params_key]
            begun = [trial for trial in known if trial.end is None]
            unfinished += begun
            if not begun and not any(trial.is_finished(full) for trial in known):
                proposals.append(Proposal(finalist.start.params, "final", seed, finalist.trial_id, "final"))
    return TrialQueue(unfinished, proposals)
