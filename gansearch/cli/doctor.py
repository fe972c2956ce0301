"""The work of `doctor`: checks what a search of a space needs, and estimates what the search would cost."""

import logging
import math
import os
import platform
import shutil
from importlib.metadata import version
from pathlib import Path

import torch

from gansearch import registry
from gansearch.cli.parser import OK, WRONG_INPUT
from gansearch.data.loader import load_images
from gansearch.errors import UserError, one_line
from gansearch.metrics.extractors.base import Extractor
from gansearch.run import Plan, Space
from gansearch.search.cost import expected_cost
from gansearch.search.feasibility import check_components, check_space, check_space_data, check_variety
from gansearch.search.ray.cluster import Cluster, cores, this_machine
from gansearch.search.run_lock import checkpoint_bytes
from gansearch.text import kimg_text
from gansearch.training.device import best_device
from gansearch.training.feasibility import check
from gansearch.training.loop import Diverged, Trainer

logger = logging.getLogger(__name__)

_PROBE_EVALUATIONS = 1
_PROBE_BATCHES = 20
_MIB = 2**20


def examine(plan: Plan, runs_dir: Path) -> int:
    """Prints one line for each thing that the search of a plan needs, and what the search would cost.

    Returns exit code 2 where something is missing, which is logged.
    """
    packages = ("ray", "torch", "optuna", "torch-fidelity")
    print(f"python {platform.python_version()}; " + ", ".join(f"{name} {version(name)}" for name in packages))
    print(f"{cores()} CPU cores; {_gpus()}")
    folder = next(path for path in (runs_dir.absolute(), *runs_dir.absolute().parents) if path.exists())
    writable = os.access(folder, os.W_OK)
    free = shutil.disk_usage(folder).free
    print(f"runs go to {runs_dir} ({free / _MIB:.0f} MiB free{'' if writable else ', NOT writable'})")
    missing, space = 0 if writable else 1, plan.space
    try:
        check_space(space)
        check_components(plan)
        check_variety(plan)
        print(f"space: {len(space.params)} parameters, baselines {', '.join(space.baselines) or 'none'}")
        if not _to_download(space):
            _cost(plan)
    except UserError as error:
        logger.error("missing: %s", one_line(error))
        missing += 1
    return WRONG_INPUT if missing else OK


def _gpus() -> str:
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return f"GPUs: {', '.join(names)}" if names else "no GPU: one CPU core per trial"


def _to_download(space: Space) -> bool:
    """Returns whether a start would download the extractor's weights; if so, checks the data and prints a line."""
    base = space.base
    extractor: Extractor = registry.build("metrics", base.metrics)
    lacks = extractor.missing()
    if lacks is None:
        return False
    check_space_data(space, load_images(base.data, "train"))
    print(f"data are here; a start downloads what is not: {lacks}; the cost can be estimated after that")
    return True


def _cost(plan: Plan) -> None:
    """Trains the base for some batches and prints the cost that follows for a search: an order of magnitude."""
    cluster = Cluster.fit(plan, [this_machine()])
    base = plan.space.base
    train = base.train
    images = train.batch * _PROBE_BATCHES
    changes = {"train.max_kimg": images / 1000, "train.evaluations": _PROBE_EVALUATIONS}
    probe = registry.resolve(base.override(changes))
    device = best_device()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        trainer = Trainer(check(probe), device)
        row = trainer.train_until_evaluation()
    except Diverged as divergence:
        print(f"the base diverges: {divergence}")
        return
    finally:
        torch.set_num_threads(threads)
    print(f"data and extractor are here; FID protocol {trainer.reference.protocol.hash}")
    full = train.max_kimg * 1000 / row.images_per_second + train.evaluations * row.eval_seconds
    print(
        f"a full trial: {full / 60:.1f} min for {kimg_text(train.max_kimg)} kimg, "
        f"at {row.images_per_second:.0f} images/s and {row.eval_seconds:.1f} s an FID on one {device.type}"
    )
    print(cost_text(plan, cluster, full, device.type))


def cost_text(plan: Plan, cluster: Cluster, full: float, device: str) -> str:
    """Returns a line with what a search does, and what it costs, where a full trial takes `full` seconds."""
    options = plan.options
    budget = options.time_budget or math.inf
    if options.gpu_hours is not None:
        budget = min(budget, options.gpu_hours * 3600 / (cluster.gpus * cluster.slots))
    cost = expected_cost(plan, cluster.slots, budget / full)
    begun, full_length = f"{cost.trials:.0f}", f"{cost.full:.0f}" if cost.full >= 0.5 else "none"
    if options.trials is not None and round(cost.trials) < options.trials:
        begun += f" of {options.trials}"
    how = "without a scheduler" if options.scheduler is None else f"with {options.scheduler.name}"
    return (
        f"cost{' within the budget' if budget < math.inf else ''}: about {begun} trials {how}, {full_length} of "
        f"them of full length, {cost.share:.2f} of a full trial each; {cost.trainings * full / 3600:.2g} {device} "
        f"hours, {cost.time * full / 60:.1f} min with {cluster.slots} at once, "
        f"{checkpoint_bytes(plan) * cost.trials / _MIB:.0f} MiB of checkpoints"
    )
