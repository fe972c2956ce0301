"""When ASHA decides. Kept apart from the scheduler, which imports Ray."""

from gansearch.config import TrainConfig


def rungs(train: TrainConfig, eta: int, grace: float = 0.1) -> list[int]:
    """Images at which ASHA decides, the full length last. The first is the evaluation nearest `grace` of it.

    Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", algorithm 2.
    """
    steps = [max(1, round(grace * train.evaluations))]
    while steps[-1] * eta < train.evaluations:
        steps.append(steps[-1] * eta)
    decisions = [step * train.eval_images for step in steps if step < train.evaluations]
    return [*decisions, train.max_images]
