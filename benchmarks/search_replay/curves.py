"""Replays a table of learning curves in random orders: what does the scheduler save, and does it find the best run?

The sampler has no part in it. A search is to try all curves, in a random order, and its scheduler decides how long.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from optuna.distributions import FloatDistribution

from benchmarks.search_replay.methods import opener
from benchmarks.search_replay.problem import Curve, Floats, Objective
from benchmarks.search_replay.simulate import Cluster, simulate
from benchmarks.search_replay.table import read_csv
from gansearch.config import TrialConfig
from gansearch.errors import UserError
from gansearch.run.space import Space

_COLUMNS = ("method", "run", "step", "fid")
_TOLERANCE = 0.01  # a run is found that is within one percent of the best


@dataclass(frozen=True)
class Curves:
    """Curves of FIDs as a `Problem`: trial n gets the nth curve of an order that the seed decides.

    Args:
        fids: Shape (curves, evaluations). A curve is worth its lowest FID.
    """

    fids: Floats

    @property
    def space(self) -> Space:
        length = {"train.evaluations": self.fids.shape[1], "train.max_kimg": self.fids.shape[1] * 1.6}
        return Space(base=TrialConfig().override(length), params={"optim.g_lr": FloatDistribution(1e-4, 1e-3)})

    @property
    def optimum(self) -> float:
        return float(self.fids.min())

    @property
    def typical(self) -> float:
        return float(np.median(self.fids.min(axis=1)))

    def objective(self, seed: int) -> Objective:
        order = iter(np.random.default_rng(seed).permutation(len(self.fids)))

        def train(_: Mapping[str, Any]) -> Curve:
            fids = self.fids[next(order)]
            return Curve(fids, float(fids.min()))

        return train


class Order(NamedTuple):
    """One order of the curves: whether a run within one percent of the best was completed, and the share of the
    evaluations of all curves that were made."""

    found: bool
    share: float


def replay_order(method: str, curves: Curves, seed: int, workers: int) -> Order:
    """Tries all curves in one order. Raises UserError unless the method is `ours`, which can be given its trials."""
    if method.split(",")[0] != "ours":
        raise UserError(f"{method} can't be told to try {len(curves.fids)} trials: take `ours` for the curves")
    number = len(curves.fids)
    cluster = Cluster(workers, trainings=float(number))  # so long that one worker could train them all
    with opener(f"{method},sampler=random,trials={number}")(curves, seed, workers) as search:
        trace = simulate(search, curves, seed, cluster)
    if trace.trials < number:
        raise UserError(f"{method} has tried {trace.trials} of {number} curves")
    return Order(trace.regret(cluster.trainings) <= _TOLERANCE * curves.optimum, trace.trainings / number)


def read_curves(path: Path, steps: int, evaluations: int) -> Curves:
    """Reads curves that are cut at a number of steps and evaluated at equal distances.

    The columns of the file are `method`, `run`, `step` and `fid`. A curve is known by the first two.

    Raises:
        UserError: The file can't be read, or a curve lacks a step.
    """
    fids: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
    for row in read_csv(path, _COLUMNS):
        fids[row["method"], row["run"]][int(row["step"])] = float(row["fid"])
    wanted = [steps * one // evaluations for one in range(1, evaluations + 1)]
    for name, by_step in fids.items():
        lacking = [step for step in wanted if step not in by_step]
        if lacking:
            raise UserError(
                f"{path}: the curve {' '.join(name)} has no FID at step {lacking[0]}; cut or space otherwise"
            )
    return Curves(np.array([[by_step[step] for step in wanted] for by_step in fids.values()]))
