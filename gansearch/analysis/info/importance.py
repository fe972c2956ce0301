"""How much of the differences between FIDs at the common rung each parameter explains: fANOVA, as Optuna has it.

fANOVA (Hutter et al. 2014, https://proceedings.mlr.press/v32/hutter14.html) fits a forest of trees to log FIDs. The
importance of a parameter is the share of a tree's variance that the parameter explains alone. Each tree is fitted to a
bootstrap sample of the trials, so the spread over trees is the uncertainty. It is the spread of single trees, and so
rather too wide than too narrow.

What else was tried: PED-ANOVA looks at the best tenth only and finds little with a hundred trials. The decrease of
impurity gives a number more importance than a choice where neither has any.

Trials that were stopped at the rung count as all others. A trial that diverged before it counts as the highest FID
there. Where a parameter does not apply, a tree sees a value that it had in some other trial, drawn at random: so the
parameter can't stand for the choice on which it depends.
"""

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gansearch.analysis.info.common_rung import ENOUGH, CommonRung, TrialAtRung
from gansearch.analysis.text import conditions_text
from gansearch.run.space import Space

if TYPE_CHECKING:
    from optuna.study import Study

LEAST_TRIALS = ENOUGH
_TREES, _DEPTH = 25, 6
_MOST_TRIALS = 500  # are looked at, drawn at random: Optuna takes long with more
_PROBES = [f"random number {index}" for index in range(3)]


class Importance(NamedTuple):
    """The importance of one parameter.

    Args:
        path: The parameter.
        share: The share of the variance of log FIDs that the parameter explains alone: the mean over trees.
        interval: The 95 % interval over bootstrap samples of the trials.
        trials: In how many trials the parameter applied.
        only_where: The conditions under which it applies, None where it always does.
    """

    path: str
    share: float
    interval: tuple[float, float]
    trials: int
    only_where: str | None


class ImportanceInfo(NamedTuple):
    """The importance of all parameters.

    Args:
        parameters: The most important one first; empty where there are not enough trials.
        chance: What numbers without any effect, which every tree sees too, stay below in 95 of 100 cases.
        trials: How many trials were looked at.
    """

    parameters: list[Importance]
    chance: float
    trials: int

    @property
    def verdict(self) -> str:
        """Which parameters matter beyond doubt, in words: those whose interval lies above chance."""
        certain = [row.path for row in self.parameters if row.interval[0] > self.chance]
        if certain:
            return f"clearly more than chance: {', '.join(certain)}"
        return f"no interval lies above chance: {self.trials} trials do not tell for certain which parameters matter"


def importance_info(rung: CommonRung, space: Space) -> ImportanceInfo:
    """Returns the importance of the parameters at the common rung; none with fewer than 30 trials there."""
    rng = np.random.default_rng(0)
    chosen = sorted(rng.permutation(len(rung.trials))[:_MOST_TRIALS])
    trials = [rung.trials[index] for index in chosen]
    having = {path: [trial.params[path] for trial in trials if path in trial.params] for path in space.params}
    paths = [path for path, values in having.items() if values and not space.params[path].domain.is_single]
    if len(trials) < LEAST_TRIALS or not paths or not any(trial.fid < math.inf for trial in trials):
        return ImportanceInfo([], 0.0, len(trials))
    study = _study([_completed(trial.params, paths, having, rng) for trial in trials], space, paths)
    trees = _trees(study, _logs(trials), [*paths, *_PROBES])
    rows = [
        Importance(
            path=path,
            share=float(trees[path].mean()),
            interval=(float(np.quantile(trees[path], 0.025)), float(np.quantile(trees[path], 0.975))),
            trials=len(having[path]),
            only_where=conditions_text(space.conditions(path)) or None,
        )
        for path in paths
    ]
    chance = float(np.quantile(np.concatenate([trees[probe] for probe in _PROBES]), 0.95))
    return ImportanceInfo(sorted(rows, key=lambda row: -row.share), chance, len(trials))


def _logs(trials: list[TrialAtRung]) -> list[float]:
    """Returns the logs of FIDs over the lowest one, so that equal FIDs are exactly 0 and have no variance at all.

    A FID of 0 or below, which some estimators give, counts as the lowest one above.
    """
    fids = [trial.fid for trial in trials]
    positive = [fid for fid in fids if 0 < fid < math.inf]
    low, high = min(positive, default=1.0), max(positive, default=1.0)
    return [math.log(min(max(fid, low), high) / low) for fid in fids]


def _completed(params: Any, paths: list[str], having: dict[str, list[Any]], rng: np.random.Generator) -> dict[str, Any]:
    """Returns a value for each parameter and each probe."""
    drawn = {path: having[path][rng.integers(len(having[path]))] for path in paths if path not in params}
    probes = dict(zip(_PROBES, rng.random(len(_PROBES)).tolist(), strict=True))
    return {**{path: params[path] for path in paths if path in params}, **drawn, **probes}


def _study(params: list[dict[str, Any]], space: Space, paths: list[str]) -> "Study":
    """Returns a study in memory with a trial for each of some parameters, by number."""
    import optuna

    from gansearch.distributions import distribution

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    domains: dict[str, Any] = {path: distribution(space.params[path].domain) for path in paths}
    domains |= dict.fromkeys(_PROBES, optuna.distributions.FloatDistribution(0.0, 1.0))
    study = optuna.create_study()
    study.add_trials([optuna.trial.create_trial(params=one, distributions=domains, value=0.0) for one in params])
    return study


def _trees(study: "Study", targets: list[float], paths: list[str]) -> dict[str, np.ndarray]:
    """Returns for each parameter its importance in each tree."""
    trees = [_tree(study, targets, seed) for seed in range(_TREES)]
    return {path: np.array([tree.get(path, 0.0) for tree in trees]) for path in paths}


def _tree(study: "Study", targets: list[float], seed: int) -> dict[str, float]:
    """Returns the importance of each parameter in one tree; none where the FIDs of its bootstrap sample are equal."""
    from optuna.importance import FanovaImportanceEvaluator

    evaluator = FanovaImportanceEvaluator(n_trees=1, max_depth=_DEPTH, seed=seed)
    try:
        return evaluator.evaluate(study, target=lambda trial: targets[trial.number])
    except RuntimeError as error:
        if "zero total variance" not in str(error):
            raise
        return {}
