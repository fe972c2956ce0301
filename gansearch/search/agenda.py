"""What is left to do of a run: decided from its rows alone, so that every driver of it comes to the same."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from gansearch.run.ledger import Ledger, TrialState
from gansearch.run.rows import Relation
from gansearch.search.plan import Plan


@dataclass(frozen=True)
class Proposal:
    """A trial that is yet to start: of `params` (None: the study proposes); `parent` and `relation` as in its row."""

    params: dict[str, Any] | None
    origin: str
    seed: int
    parent: str | None = None
    relation: Relation | None = None


class Agenda:
    """Trials to hand out, in order: first those that an interruption left unfinished."""

    def __init__(self, unfinished: Iterable[TrialState], proposals: Iterable[Proposal]) -> None:
        self.unfinished, self.proposals = deque(unfinished), deque(proposals)

    def __len__(self) -> int:
        return len(self.unfinished) + len(self.proposals)


def search_agenda(plan: Plan, ledger: Ledger, *, retry_failed: bool = False) -> Agenda:
    """The trials of a search: failed ones again, where wanted; those to be trained further; then new ones.

    Trials share the search's seed: they differ by what is searched, not by luck.
    """
    trials, seed = list(ledger.values()), plan.options.seed
    followed = {
        (trial.start.relation, trial.start.parent)
        for trial in trials
        if not (retry_failed and trial.start.relation == "longer" and trial.status == "failed")
    }
    failed = [trial for trial in trials if trial.status == "failed" and trial.start.relation in {None, "retry"}]
    again: list[tuple[TrialState, Relation]] = [(trial, "retry") for trial in failed if retry_failed]
    again += [(trial, "longer") for trial in _to_lengthen(plan, trials)]
    proposals = [
        Proposal(trial.start.params, trial.start.origin, trial.start.seed, trial.trial_id, relation)
        for trial, relation in again
        if (relation, trial.trial_id) not in followed
    ]
    origins = {trial.start.origin for trial in trials}
    space, missing = plan.space, plan.options.trials - sum(trial.start.parent is None for trial in trials)
    baselines = [name for name in space.baselines if f"baseline:{name}" not in origins][: max(0, missing)]
    proposals += [Proposal(space.baseline(name), f"baseline:{name}", seed) for name in baselines]
    proposals += [Proposal(None, "sampled", seed)] * (missing - len(baselines))
    return Agenda((trial for trial in trials if trial.end is None and not trial.is_final), proposals)


def _to_lengthen(plan: Plan, trials: Iterable[TrialState]) -> list[TrialState]:
    """Of those completed at each length that was full once, the best: as many as ASHA lets pass a rung.

    It depends on nothing that happens after they were completed, so a `resume` comes to the same ones.
    """
    full = plan.space.base.train.max_images
    chosen: list[TrialState] = []
    short = [trial for trial in trials if trial.status == "completed" and trial.images < full and not trial.is_final]
    for length in sorted({trial.images for trial in short}):
        completed = sorted((trial for trial in short if trial.images == length), key=lambda trial: trial.evals[-1].fid)
        chosen += completed[: max(1, round(len(completed) / plan.options.eta))]
    return chosen


def finals_agenda(plan: Plan, ledger: Ledger, finalists: Sequence[TrialState], seeds: int) -> Agenda:
    """Every finalist's parameters at full length with each of the `seeds` seeds after the search's.

    Without those that are there already: completed, or diverged.
    """
    finals = [trial for trial in ledger.values() if trial.is_final]
    full = plan.space.base.train.max_images
    unfinished, proposals = [], []
    for seed in range(plan.options.seed + 1, plan.options.seed + 1 + seeds):
        for finalist in finalists:
            known = [trial for trial in finals if trial.start.seed == seed and trial.parameters == finalist.parameters]
            begun = [trial for trial in known if trial.end is None]
            unfinished += begun
            if not begun and not any(trial.is_finished(full) for trial in known):
                proposals.append(Proposal(finalist.start.params, "final", seed, finalist.trial_id, "final"))
    return Agenda(unfinished, proposals)
