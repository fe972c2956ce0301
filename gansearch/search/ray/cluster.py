"""Computes how many trials of a search fit on a cluster, or on this machine, at once."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

import joblib
import ray
import torch
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from gansearch.errors import UserError
from gansearch.run.manifest import Plan
from gansearch.run.space import Space
from gansearch.training.device import best_device, best_precision

T = TypeVar("T")


def cores() -> int:
    """Returns the CPU cores that this process may use, by affinity (Slurm) and by the quota of a container."""
    return joblib.cpu_count()


def this_machine() -> dict[str, Any]:
    """Returns this machine as `ray.nodes()` would describe it if a Ray were started here."""
    return {"Alive": True, "Resources": {"CPU": cores(), "GPU": torch.cuda.device_count()}}


@dataclass(frozen=True)
class Cluster:
    """The resources that a search has in the Ray of this process.

    Args:
        cpus: CPU cores of a trial.
        gpus: The share of a GPU, or the number of GPUs, of a trial.
        slots: How many trials run at once.
        nodes: The nodes that are alive, as `ray.nodes()` describes them.
    """

    cpus: float
    gpus: float
    slots: int
    nodes: tuple[dict[str, Any], ...]

    @classmethod
    def fit(cls, plan: Plan, nodes: Iterable[dict[str, Any]] | None = None) -> Self:
        """Chooses GPU or CPU and computes how many trials fit at once; raises UserError where not even one fits.

        The `nodes` are those of the Ray of this process unless others are given.
        """
        options = plan.options
        nodes = tuple(node for node in (ray.nodes() if nodes is None else nodes) if node["Alive"])
        most_gpus, most_cpus = (max(node["Resources"].get(kind, 0) for node in nodes) for kind in ("GPU", "CPU"))
        cpus, gpus = options.cpus_per_trial, options.gpus_per_trial
        if gpus is None:
            gpus = 1.0 if most_gpus else 0.0
        if gpus > most_gpus:
            raise UserError(
                f"--gpus-per-trial {gpus:g}: the largest node has {most_gpus:g} GPU; give at most that, or 0"
            )
        if cpus > most_cpus:
            raise UserError(
                f"--cpus-per-trial {cpus:g}: the largest node has {most_cpus:g} CPU cores; give at most that"
            )
        if options.gpu_hours is not None and not gpus:
            raise UserError("--gpu-hours counts GPUs and trials use none: give --time-budget, or --gpus-per-trial")
        if gpus > 1 and gpus != int(gpus):
            raise UserError(
                f"--gpus-per-trial {gpus:g}: above 1 give whole numbers, trials can share one card but not several"
            )
        slots = sum(_slots(node["Resources"], cpus, gpus) for node in nodes)
        if not slots:
            raise UserError(f"no node has {cpus:g} CPU cores and {gpus:g} GPU together: lower --cpus-per-trial")
        return cls(cpus, gpus, min(slots, options.max_concurrent or slots), nodes)

    def check_shared(self, checkpoints: str) -> None:
        """Raises UserError where some node does not see the folder for checkpoints. A URI is not checked."""
        if "://" in checkpoints:
            return
        Path(checkpoints).mkdir(parents=True, exist_ok=True)
        seen = self._ask(self.nodes, lambda: Path(checkpoints).is_dir(), gpus=0)
        blind = [node["NodeManagerAddress"] for node, sees in zip(self.nodes, seen, strict=True) if not sees]
        if blind:
            raise UserError(
                f"{', '.join(blind)} can't see {checkpoints}: use --runs-dir on a file system that all nodes share, "
                "or --storage s3://bucket/prefix"
            )

    def with_precision(self, space: Space) -> Space:
        """Returns the space with `train.precision=auto` decided, once for all trials, so that trials can be compared.

        The precision becomes bf16 where every node that can run a trial has units for bf16.
        """
        if space.base.train.precision != "auto":
            return space
        holding = [node for node in self.nodes if _slots(node["Resources"], self.cpus, self.gpus)]
        found = set(self._ask(holding, lambda: best_precision(best_device()), gpus=self.gpus))
        precision = "bf16" if found == {"bf16"} else "float32"
        return space.replaced(base=space.base.override({"train.precision": precision}))

    @staticmethod
    def _ask(nodes: Iterable[dict[str, Any]], question: Callable[[], T], *, gpus: float) -> list[T]:
        """Runs `question` on each node, with `gpus` of a GPU each time, and returns the answers."""
        asked = ray.remote(question)
        answers = []
        for node in nodes:
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            answers.append(asked.options(num_cpus=0, num_gpus=gpus, scheduling_strategy=there).remote())
        return ray.get(answers)


def _slots(resources: dict[str, float], cpus: float, gpus: float) -> int:
    """Returns how many trials a node holds. A share of a GPU is never split over two cards."""
    by_cpu, has = int(resources.get("CPU", 0) / cpus), resources.get("GPU", 0)
    if not gpus:
        return by_cpu
    return min(by_cpu, int(has / gpus) if gpus >= 1 else int(has) * int(1 / gpus + 1e-9))
