"""The trainer and the space of gansearch as a Ray function, under `OptunaSearch` and Ray's ASHA.

    python -m benchmarks.search_against_vanilla.tuned SECONDS SEED CPUS FOLDER

What is left out are the baselines of the space, which `OptunaSearch` would need as points to evaluate, and artifacts.
"""

import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import ray
import torch
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

from benchmarks.search_against_vanilla.measure import SPACE
from benchmarks.search_replay.peers import ETA, grace, suggesting
from gansearch import registry
from gansearch.run.rows import Evaluation
from gansearch.run.space import Space
from gansearch.search.find_space import find_space
from gansearch.training.checkpoint import CheckpointDir
from gansearch.training.feasibility import check
from gansearch.training.loop import Diverged, Trainer, run


def train(params: Mapping[str, Any], space: Space, seed: int, folder: Path) -> None:
    torch.set_num_threads(1)
    config = check(space.config(params, seed, resolve=registry.resolve))
    checkpoints = CheckpointDir(checkpoints_of(folder, tune.get_context().get_trial_id()))

    def report(evaluation: Evaluation) -> None:
        tune.report({"fid": evaluation.fid, "kimg": evaluation.kimg})

    try:
        run(Trainer(config, torch.device("cpu")), report, checkpoints)
    except Diverged as divergence:
        print(divergence)


def checkpoints_of(folder: Path, trial_id: str) -> Path:
    return folder / "checkpoints" / trial_id


def allowed(space: Space, trial: Any) -> dict[str, Any]:
    """Asks an Optuna trial for parameters. Returns those that are fixed in place of a forbidden combination."""
    suggesting(space)(trial)
    return {"model.spectral_norm": False} if space.violated(trial.params) else {}


def main(seconds: float, seed: int, cpus: int, folder: Path) -> None:
    ray.init("local", include_dashboard=False, num_cpus=cpus)
    space = find_space(SPACE)
    evaluations = space.base.train.evaluations
    tuner = tune.Tuner(
        tune.with_parameters(train, space=space, seed=seed, folder=folder.absolute()),
        tune_config=tune.TuneConfig(
            metric="fid",
            mode="min",
            search_alg=OptunaSearch(partial(allowed, space), metric="fid", mode="min", seed=seed),
            scheduler=ASHAScheduler(max_t=evaluations, grace_period=grace(evaluations), reduction_factor=ETA),
            num_samples=-1,
            time_budget_s=seconds,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(name=folder.name, storage_path=str(folder.parent.absolute())),
    )
    tuner.fit()


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
