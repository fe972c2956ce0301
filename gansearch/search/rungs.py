"""When ASHA decides. Kept apart from the scheduler, which imports Ray."""

from gansearch.config import TrainConfig

_GRACE = 0.1


def rungs(train: TrainConfig, eta: int, first: int | None = None) -> list[int]:
    """Images at which ASHA decides, the full length last; the first after `first` evaluations (None: a tenth of all).

    Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", algorithm 2.
    """
    steps = [first or max(1, round(_GRACE * train.evaluations))]
    while steps[-1] * eta < train.evaluations:
        steps.append(steps[-1] * eta)
    decisions = [step * train.eval_images for step in steps if step < train.evaluations]
    return [*decisions, train.max_images]
