"""The trials that a run still has to train. Only the rows decide, so every driver of a run builds the same queue."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from gansearch.run.ledger import Ledger, TrialState
from gansearch.run.manifest import Plan
from gansearch.run.rows import Relation
from gansearch.search.feasibility import baseline_params


@dataclass(frozen=True)
class Proposal:
    """A trial that is yet to start.

    Args:
        params: The values of the parameters; None lets the study sample them.
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
    """The trials to start, in order: first the unfinished ones of an interrupted driver, then new ones."""

    def __init__(self, unfinished: Iterable[TrialState] = (), proposals: Iterable[Proposal] = ()) -> None:
        self.unfinished, self.proposals = deque(unfinished), deque(proposals)

    def __len__(self) -> int:
        return len(self.unfinished) + len(self.proposals)


def search_queue(plan: Plan, ledger: Ledger, *, retry_failed: bool = False) -> TrialQueue:
    """Returns the trials to train: failed ones again (with `retry_failed`), continuations, then new ones.

    All trials have the seed of the search, so that trials differ by their parameters, not by luck.
    """
    trials, seed = list(ledger.values()), plan.options.seed
    followed = {
        (trial.start.relation, trial.start.parent)
        for trial in trials
        if not (retry_failed and trial.start.relation == "continuation" and trial.status == "failed")
    }
    failed = [trial for trial in trials if trial.status == "failed" and trial.start.relation in {None, "retry"}]
    again: list[tuple[TrialState, Relation]] = [(trial, "retry") for trial in failed if retry_failed]
    again += [(trial, "continuation") for trial in _to_continue(plan, trials)]
    proposals = [
        Proposal(trial.start.params, trial.start.origin, trial.start.seed, trial.trial_id, relation)
        for trial, relation in again
        if (relation, trial.trial_id) not in followed
    ]
    origins = {trial.start.origin for trial in trials}
    space, missing = plan.space, max(0, plan.options.trials - ledger.num_proposed)
    baselines = [name for name in space.baselines if f"baseline:{name}" not in origins][:missing]
    proposals += [Proposal(baseline_params(space, name), f"baseline:{name}", seed) for name in baselines]
    proposals += [Proposal(None, "sampled", seed)] * (missing - len(baselines))
    return TrialQueue((trial for trial in trials if trial.end is None and not trial.is_final), proposals)


def _to_continue(plan: Plan, trials: Iterable[TrialState]) -> list[TrialState]:
    """Returns the best of the trials completed at each former full length: as many as ASHA promotes at a rung.

    The choice depends on nothing that happens after these trials are completed, so a `resume` chooses the same ones.
    """
    full = plan.space.base.train.max_images
    chosen: list[TrialState] = []
    short = [
        trial
        for trial in trials
        if trial.status == "completed" and trial.evals and trial.images < full and not trial.is_final
    ]
    for length in sorted({trial.images for trial in short}):
        completed = sorted((trial for trial in short if trial.images == length), key=lambda trial: trial.evals[-1].fid)
        chosen += completed[: max(1, round(len(completed) / plan.options.eta))]
    return chosen


def finals_queue(plan: Plan, ledger: Ledger, finalists: Sequence[TrialState], seeds: int) -> TrialQueue:
    """Returns the finals to train: every finalist's parameters with each of the `seeds` seeds after the search's seed.

    Finals have the full length. A final that was completed, or that diverged, is not trained again.
    """
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
