"""Measures the noise of an FID where it matters: the leading generators of a search again, with other z."""

import logging
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import GetTimeoutError, RayError

from gansearch import foreign
from gansearch.config import from_dict
from gansearch.errors import UserError, kind_and_message, one_line
from gansearch.metrics.reference import Reference
from gansearch.run.ledger import Ledger, TrialState
from gansearch.run.paths import join
from gansearch.search.ray.asking import cause_of
from gansearch.search.ray.trainable import device_of, local_scorer
from gansearch.training.checkpoint import CheckpointDir
from gansearch.training.generator import LoadedGenerator

if TYPE_CHECKING:
    from gansearch.search.search import Search

logger = logging.getLogger(__name__)

_LEADERS = 3
_SEEDS = 5  # of z, for each of them
_LONGEST = 600  # seconds


def measure_noise(search: "Search") -> None:
    """Measures the FIDs of the leading trials' best generators with other z, in the Ray of this process.

    Each is a task with the share of a trial. What was measured is a row. What fails, or would take too long, is logged:
    the search itself is complete.

    Raises:
        UserError: A row can't be written.
    """
    plan, cluster = search.plan, search.cluster
    todo = [trial for trial in leaders(search.ledger) if not trial.has_noise]
    if not todo:
        return
    expected = _SEEDS * max(row.eval_seconds for trial in todo for row in trial.evals)
    if expected > _LONGEST:
        logger.info("the noise of FIDs is not measured: that would take about %.0f minutes", expected / 60)
        return
    logger.info("measuring the noise of FIDs: the %d best generators, with %d other z each", len(todo), _SEEDS)
    code = plan.component_names, foreign.objects(plan.component_names)
    share = cluster.cpus, cluster.gpus
    task = ray.remote(_fids).options(max_retries=1, **cluster.share)
    reference = ray.put(search.reference)
    asked = [task.remote(join(plan.checkpoints, trial.trial_id), reference, code, share) for trial in todo]
    done, _ = ray.wait(asked, num_returns=len(asked), timeout=2 * _LONGEST)  # the cluster may have no share free
    for trial, answer in zip(todo, asked, strict=True):
        try:
            if answer not in done:
                raise GetTimeoutError(f"no answer within {2 * _LONGEST / 60:g} minutes")
            kimg, fids = ray.get(answer)
        except RayError as error:
            logger.warning(
                "the noise of trial %s was not measured: %s", trial.trial_id, kind_and_message(cause_of(error))
            )
            continue
        try:
            search.recorder.noise(trial.trial_id, kimg, fids)
        except OSError as error:
            raise UserError(f"can't write ({one_line(error)}): fix that, then {search.how_to_continue}") from None


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
