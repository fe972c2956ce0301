"""Measures the noise of an FID where it matters: the leading generators of a search again, with other z."""

import logging
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import RayError

from gansearch import foreign
from gansearch.config import from_dict
from gansearch.errors import kind_and_message
from gansearch.metrics.reference import Reference
from gansearch.run.ledger import Ledger, TrialState
from gansearch.run.paths import join
from gansearch.search.ray.trainable import device_of, local_scorer
from gansearch.training.checkpoint import CheckpointDir
from gansearch.training.generator import LoadedGenerator

if TYPE_CHECKING:
    from gansearch.search.search import Search

logger = logging.getLogger(__name__)

_LEADERS = 3
_SEEDS = 5  # of z, for each of them


def measure_noise(search: "Search") -> None:
    """Measures the FIDs of the leading trials' best generators with other z, in the Ray of this process.

    Each is a task with the share of a trial. What was measured is a row; what fails is a warning, as the search itself
    is complete.
    """
    plan, cluster = search.plan, search.cluster
    todo = [trial for trial in leaders(search.ledger) if not trial.has_noise]
    code = plan.component_names, foreign.objects(plan.component_names)
    share = cluster.cpus, cluster.gpus
    task = ray.remote(_fids).options(num_cpus=cluster.cpus, num_gpus=cluster.gpus, max_retries=1)
    reference = ray.put(search.reference)
    asked = [task.remote(join(plan.checkpoints, trial.trial_id), reference, code, share) for trial in todo]
    for trial, answer in zip(todo, asked, strict=True):
        try:
            kimg, fids = ray.get(answer)
        except RayError as error:
            logger.warning("the noise of trial %s was not measured: %s", trial.trial_id, kind_and_message(error))
        else:
            search.recorder.noise(trial.trial_id, kimg, fids)


def leaders(ledger: Ledger) -> list[TrialState]:
    """Returns the three trials of a search with the lowest FIDs; none where there is only one to be ranked."""
    scored = [trial for trial in ledger.values() if trial.best and not trial.is_final]
    scored.sort(key=lambda trial: (trial.best.fid, trial.number) if trial.best else ())
    return scored[:_LEADERS] if len(scored) > 1 else []


def _fids(
    root: str, reference: Reference, code: tuple[set[str], dict[str, Any]], share: tuple[float, float]
) -> tuple[float, tuple[float, ...]]:
    """Returns the kimg of the best generator of the trial at `root`, and its FID for each of some seeds of z.

    `code` are the names of the search's components and what the driver has defined of them; `share` are the CPU cores
    and GPUs of this task.
    """
    names, objects = code
    foreign.permit(names)
    foreign.receive(objects)
    device = device_of(*share)
    weights, about = CheckpointDir(root).best()
    config = from_dict(about.config)
    scorer = local_scorer(config, reference, device)
    G = LoadedGenerator.build(config, weights, about.channels, about.classes, str(device))
    seeds = range(config.metrics.seed + 1, config.metrics.seed + 1 + _SEEDS)
    return about.best_kimg, tuple(scorer.fid(G.scored(config.metrics.num_fake, seed)) for seed in seeds)
