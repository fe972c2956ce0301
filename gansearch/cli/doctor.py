"""The work of `doctor`: checks what a search of a space needs, and estimates what the search would cost."""

import logging
import math
import os
import platform
import shutil
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import fmean

import torch

from gansearch import foreign, registry
from gansearch.cli.parser import OK, WRONG_INPUT
from gansearch.cli.progress import range_text
from gansearch.data.loader import load_images
from gansearch.errors import UserError, one_line
from gansearch.logs import show
from gansearch.metrics.extractors.base import Extractor
from gansearch.metrics.reference import protocol_of
from gansearch.run import Ledger, Plan, Space
from gansearch.search.cost import expected_cost
from gansearch.search.drawing import draw_at_random
from gansearch.search.feasibility import check_components, check_space, check_space_data, check_variety
from gansearch.search.queue import search_queue
from gansearch.search.ray.cluster import Cluster, cores
from gansearch.search.ray.inspection import inspected
from gansearch.search.ray.measuring import Measuring
from gansearch.search.ray.probing import probe
from gansearch.search.ray.session import ray_session
from gansearch.search.ray.speeds import COMPILE, PRECISIONS, Speeds, Variant, measure_speeds
from gansearch.search.remaining import Remaining
from gansearch.search.run_lock import checkpoint_bytes
from gansearch.text import kimg_text, rough_text
from gansearch.training.card import look

logger = logging.getLogger(__name__)

_PROBES = 16  # trials drawn from the space: some are many times slower than others
_MIB = 2**20


def examine(plan: Plan, runs_dir: Path, *, measure: bool = False) -> int:
    """Prints one line for each thing that the search of a plan needs, and what the search would cost.

    With `measure` it prints, in place of the cost, how fast the base trains in each way, and which flags are best.

    Returns exit code 2 where something is missing, which is logged.
    """
    packages = ("ray", "torch", "optuna", "torch-fidelity")
    print(f"python {platform.python_version()}; " + ", ".join(f"{name} {version(name)}" for name in packages))
    print(f"{cores()} CPU cores; {_gpus()}")
    folder = next(path for path in (runs_dir.absolute(), *runs_dir.absolute().parents) if path.exists())
    writable = os.access(folder, os.W_OK)
    free = shutil.disk_usage(folder).free
    show(f"runs go to {runs_dir} ({free / _MIB:.0f} MiB free{'' if writable else ', NOT writable'})")
    missing, space = 0 if writable else 1, plan.space
    try:
        check_space(space)
        check_components(plan)
        check_variety(plan)
        show(f"space: {len(space.params)} parameters, baselines {', '.join(space.baselines) or 'none'}")
        if not _to_download(space):
            _cost(plan, measure)
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
    show(f"data are here; a start downloads what is not: {lacks}; the cost can be estimated after that")
    return True


def _cost(plan: Plan, measure: bool) -> None:
    """Looks at the nodes, trains some configurations of the space for a moment, and prints what a search costs.

    With `measure` it trains the base only, in all ways.

    All in the Ray of the plan's address, or in one of its own.
    """
    base, begun = registry.resolve(plan.space.base), time.monotonic()
    protocol = protocol_of(base.metrics, load_images(base.data, base.metrics.split))
    code = registry.with_code(base, plan.component_names).code
    with ray_session(plan.options.address, foreign.travelling(code)):
        cluster = inspected(Cluster.fit(plan), base.train, look, show)
        before = time.monotonic()
        reference = Measuring(base, protocol, cluster, plan.component_names).reference()
        print(f"data and extractor are here; FID protocol {protocol.hash}")
        if measure:
            show_speeds(measure_speeds(base, plan.component_names, cluster, reference), is_gpu=bool(cluster.gpus))
            return
        probes = max(_PROBES, 2 * cluster.slots) if plan.space.params else cluster.slots
        drawn = [draw_at_random(plan.space, seed) for seed in range(probes)]
        configs = [plan.space.config(params, plan.options.seed, resolve=registry.resolve) for params in drawn]
        found = probe(plan, cluster, reference, configs, begun + time.monotonic() - before)
    if found is None:
        print(f"the base, or all of {probes} trials drawn at random, diverge in their first steps")
        return
    train, slowest, fastest = base.train, min(found.images_per_second), max(found.images_per_second)
    paces = [train.eval_images / speed + found.evaluation for speed in found.images_per_second]
    kind = "GPU" if cluster.gpus else "CPU"
    print(
        f"a full trial: {range_text(min(paces) * train.evaluations, max(paces) * train.evaluations)} for "
        f"{kimg_text(train.max_kimg)} kimg, at {slowest:.0f} to {fastest:.0f} images/s ({len(paces)} trials drawn at "
        f"random, {cluster.slots} at once by {kind}) and {found.evaluation:.1f} s an FID with its artifacts"
    )
    print(cost_text(plan, cluster, paces, kind, found.turnaround, found.start))


def show_speeds(speeds: Speeds, *, is_gpu: bool) -> None:
    """Prints the images a second of each way to train, and the flags of the best one."""
    columns = [(precision, how) for precision in PRECISIONS for how in COMPILE]
    titles = [precision + (", compiled" if how == "always" else "") for precision, how in columns]
    print(f"{'images/s, all trials together':30}" + "".join(f"{title:>20}" for title in titles))
    for count in sorted({variant.trials for variant in speeds.images_per_second}):
        cells = [speeds.images_per_second.get(Variant(precision, how, count)) for precision, how in columns]
        name = f"{count} trial{'s' if count > 1 else ''} at once"
        print(f"{name:30}" + "".join(f"{'does not fit' if cell is None else f'{cell:,.0f}':>20}" for cell in cells))
    if speeds.evaluation is not None:
        print(f"an FID with its artifacts: {speeds.evaluation:.1f} s")
    best, share = speeds.best, 1 / speeds.best.trials
    slots = f"--gpus-per-trial {share:g}" if is_gpu else f"--cpus-per-trial {cores() * share:g}"
    print(f"best here: {slots} --set train.precision={best.precision} --set train.compile={best.compile}")


def cost_text(
    plan: Plan, cluster: Cluster, paces: Sequence[float], device: str, turnaround: float = 0.0, start: float = 0.0
) -> str:
    """Returns a line with what a search does, and what it costs.

    Args:
        plan: The plan of the search.
        cluster: What the search would have.
        paces: The seconds of some trials from one evaluation to the next.
        device: The kind of device.
        turnaround: The seconds between two trials in one slot.
        start: The seconds until the first trials train.
    """
    options, full = plan.options, fmean(paces) * plan.space.base.train.evaluations
    budget = options.time_budget or math.inf
    if options.gpu_hours is not None:
        budget = min(budget, options.gpu_hours * 3600 / (cluster.gpus * cluster.slots))
    cost = expected_cost(plan, cluster.slots, budget / full)
    begun, full_length = f"{cost.trials:.0f}", f"{cost.full:.0f}" if cost.full >= 0.5 else "none"
    if options.trials is not None and round(cost.trials) < options.trials:
        begun += f" of {options.trials}"
    how = "without a scheduler" if options.scheduler is None else f"with {options.scheduler.name}"
    queue, ledger = search_queue(plan, Ledger()), Ledger()
    left = Remaining(plan, ledger, queue, cluster.slots, cluster.gpus, 0.0, paces, turnaround).estimate(0.0)
    assert left is not None, "paces are given"
    hours = rough_text(cost.trainings * full / 3600 * (cluster.gpus or 1.0), 2)
    return (
        f"cost{' within the budget' if budget < math.inf else ''}: about {begun} trials {how}, {full_length} of "
        f"them of full length, {cost.share:.2f} of a full trial each; {hours} {'GPU' if cluster.gpus else device} "
        f"hours, {range_text(left.low + start, left.high + start)} with {cluster.slots} at once, "
        f"{checkpoint_bytes(plan) * cost.trials / _MIB:.0f} MiB of checkpoints"
    )
