"""A Ray to run on: one of our own on this machine, or an existing cluster; and what it can hold."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray._private.utils import get_num_cpus
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from gansearch.errors import UserError, one_line
from gansearch.search.plan import Plan, with_gpus

# Read by Tune in the driver. One pending trial: a proposal made early is made without the latest results.
_TUNE_ENVIRONMENT = {
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # a diverged trial has no FID
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_MAX_PENDING_TRIALS_PG": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",  # resuming does not use Tune's own snapshots
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}
_REACH_SECONDS = 5
_OBJECT_STORE = 200 * 1024**2  # bytes; trials send each other nothing


def cores() -> int:
    """CPU cores that this process may use: its affinity (Slurm), and a container's quota, which Ray knows."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(affinity, int(get_num_cpus())))


def _reach(address: str) -> None:
    """OSError where nobody listens at HOST:PORT; Ray itself would try for minutes."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit() and "/" not in address:
        socket.create_connection((host, int(port)), timeout=_REACH_SECONDS).close()


@contextmanager
def ray_session(address: str | None) -> Iterator[None]:
    """Ray for the time of a search. Without an address always one of our own, whatever else runs or has crashed."""
    os.environ.update(_TUNE_ENVIRONMENT)
    common: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": True}
    try:
        if address is None:
            ray.init("local", num_cpus=cores(), include_dashboard=False, object_store_memory=_OBJECT_STORE, **common)
        else:
            _reach(address)
            ray.init(address, **common)
    except (OSError, ValueError, RuntimeError) as error:
        where = f"no Ray cluster at {address}" if address else "Ray does not start"
        raise UserError(f"{where} ({one_line(error)}); start one with `ray start --head`, or omit --address") from None
    logging.getLogger("ray").setLevel(logging.CRITICAL)  # a failed trial is in the rows, with its reason
    try:
        yield
    finally:
        ray.shutdown()


def fit_to_cluster(plan: Plan) -> tuple[Plan, int]:
    """Chooses GPU or CPU, and how many trials fit at once; UserError where not even one does."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    most_gpus, most_cpus = (max(node.get(kind, 0) for node in nodes) for kind in ("GPU", "CPU"))
    cpus, gpus = plan.options.cpus_per_trial, plan.options.gpus_per_trial
    if gpus is None:
        gpus = 1.0 if most_gpus else 0.0
    if gpus > most_gpus:
        raise UserError(f"--gpus-per-trial {gpus:g}: the largest node has {most_gpus:g} GPU; give at most that, or 0")
    if cpus > most_cpus:
        raise UserError(f"--cpus-per-trial {cpus:g}: the largest node has {most_cpus:g} CPU cores; give at most that")
    if plan.options.gpu_hours is not None and not gpus:
        raise UserError("--gpu-hours counts GPUs and trials use none: give --time-budget, or --gpus-per-trial")
    if gpus > 1 and gpus != int(gpus):
        raise UserError(f"--gpus-per-trial {gpus:g}: above 1 only whole numbers, Ray shares a card but splits no pair")
    slots = 0
    for node in nodes:
        by_cpu = int(node.get("CPU", 0) / cpus)
        slots += min(by_cpu, _slots_by_gpu(node.get("GPU", 0), gpus)) if gpus else by_cpu
    if not slots:
        raise UserError(f"no node has {cpus:g} CPU cores and {gpus:g} GPU together: give fewer of one a trial")
    return with_gpus(plan, gpus), min(slots, plan.options.max_concurrent or slots)


def _slots_by_gpu(has: float, gpus: float) -> int:
    """A share of a GPU is never split over two cards."""
    return int(has / gpus) if gpus >= 1 else int(has) * int(1 / gpus + 1e-9)


def check_shared(plan: Plan) -> None:
    """UserError where trials keep their checkpoints in a folder that some node does not see."""
    if "://" in plan.checkpoints:
        return
    Path(plan.checkpoints).mkdir(parents=True, exist_ok=True)
    folder = plan.checkpoints

    @ray.remote(num_cpus=0)
    def sees() -> bool:
        return Path(folder).is_dir()

    alive = [node for node in ray.nodes() if node["Alive"]]
    asked = [
        sees.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote()
        for node in alive
    ]
    blind = [node["NodeManagerAddress"] for node, seen in zip(alive, ray.get(asked), strict=True) if not seen]
    if blind:
        raise UserError(
            f"{', '.join(blind)} can't see {folder}: use --runs-dir on a file system that all nodes share, "
            "or --storage s3://bucket/prefix"
        )
