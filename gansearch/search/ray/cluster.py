"""Computes how many trials of a search fit on a cluster, or on this machine, at once."""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any, Self

import joblib
import ray
import torch
from ray.autoscaler.v2.sdk import get_cluster_status
from ray.experimental.internal_kv import _internal_kv_get

from gansearch.device import Precision, best_precision, gpu
from gansearch.errors import UserError
from gansearch.run.manifest import Plan
from gansearch.run.space import Space
from gansearch.search.ray.asking import ask_nodes
from gansearch.search.ray.token import sees

_CPU = torch.device("cpu")


def not_on(nodes: Collection[str]) -> dict[str, str]:
    """Returns the label selector of Ray for a node that is none of these."""
    return {"ray.io/node-id": f"!in({','.join(nodes)})"}


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
        gpus: The share of a GPU that a trial has.
        slots: How many trials run at once, as the cluster was when it was asked.
        nodes: The nodes that were alive then, as `ray.nodes()` describes them.
        max_concurrent: How many trials shall run at once at most.
        is_elastic: Whether an autoscaler can add nodes.
        broken: The ids of nodes that are alive, and on which trials can't train.
        precision: The fastest precision that all GPUs have units for; None where no GPU was looked at.
    """

    cpus: float
    gpus: float
    slots: int
    nodes: tuple[dict[str, Any], ...]
    max_concurrent: int | None = None
    is_elastic: bool = False
    broken: frozenset[str] = frozenset()
    precision: Precision | None = None

    @classmethod
    def fit(cls, plan: Plan, nodes: Iterable[dict[str, Any]] | None = None) -> Self:
        """Chooses GPU or CPU and computes how many trials fit at once.

        The `nodes` are those of the Ray of this process unless others are given.

        Raises:
            UserError: Not even one trial fits, and no autoscaler can add a node; or one can, and the share of a GPU is
                neither given nor to be seen.
        """
        options = plan.options
        is_elastic = nodes is None and options.address is not None and _has_autoscaler()
        nodes = tuple(node for node in (ray.nodes() if nodes is None else nodes) if node["Alive"])
        most_gpus, most_cpus = (max(node["Resources"].get(kind, 0) for node in nodes) for kind in ("GPU", "CPU"))
        cpus, gpus = options.cpus_per_trial, options.gpus_per_trial
        if gpus is None:
            if is_elastic and not most_gpus:
                raise UserError(
                    "no node with a GPU is up, but the cluster can add nodes: give --gpus-per-trial G, 0 for none"
                )
            gpus = 1.0 if most_gpus else 0.0
        if gpus > most_gpus and not is_elastic:
            raise UserError(
                f"--gpus-per-trial {gpus:g}: the largest node has {most_gpus:g} GPU; give at most that, or 0"
            )
        if cpus > most_cpus and not is_elastic:
            raise UserError(
                f"--cpus-per-trial {cpus:g}: the largest node has {most_cpus:g} CPU cores; give at most that"
            )
        if options.gpu_hours is not None and not gpus:
            raise UserError("--gpu-hours counts GPUs and trials use none: give --time-budget, or --gpus-per-trial")
        slots = sum(_slots(node["Resources"], cpus, gpus) for node in nodes)
        if not slots and not is_elastic:
            raise UserError(f"no node has {cpus:g} CPU cores and {gpus:g} GPU together: lower --cpus-per-trial")
        slots = max(1, slots)
        return cls(cpus, gpus, min(slots, options.max_concurrent or slots), nodes, options.max_concurrent, is_elastic)

    def without(self, broken: Collection[str], precision: Precision | None) -> Self:
        """Returns the cluster without some nodes, and with what was found about the GPUs of the others."""
        nodes = tuple(node for node in self.nodes if node["NodeID"] not in broken)
        most = max(1, sum(_slots(node["Resources"], self.cpus, self.gpus) for node in nodes))
        slots = min(self.slots, most)
        return replace(self, nodes=nodes, slots=slots, broken=frozenset(broken), precision=precision)

    @property
    def share(self) -> dict[str, Any]:
        """The options of a task or an actor of Ray that has the share of a trial, on a node that is not broken."""
        elsewhere = {"label_selector": not_on(self.broken)} if self.broken else {}
        return {"num_cpus": self.cpus, "num_gpus": self.gpus, **elsewhere}

    @property
    def holding(self) -> list[dict[str, Any]]:
        """The nodes that can hold a trial."""
        return [node for node in self.nodes if _slots(node["Resources"], self.cpus, self.gpus)]

    def slots_by_node(self) -> dict[str, int]:
        """Returns how many trials each node that is alive now can hold, by the node's id."""
        return {
            node["NodeID"]: _slots(node["Resources"], self.cpus, self.gpus) for node in ray.nodes() if node["Alive"]
        }

    def check_shared(self, checkpoints: str, token: str) -> None:
        """Raises UserError where some node does not see the storage for checkpoints, which has the `token`."""
        blind = [address for address, seen in ask_nodes(self.nodes, lambda: sees(checkpoints, token)) if not seen]
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
        precision = self.precision
        if precision is None:
            precision = self._asked_precision()
        return space.replaced(base=space.base.override({"train.precision": precision}))

    def _asked_precision(self) -> Precision:
        # Where there is no node yet, an autoscaler starts one for this question.
        holding = self.holding
        if not self.gpus:
            if {node["NodeID"] for node in holding} == {ray.get_runtime_context().get_node_id()}:
                return best_precision(_CPU)  # of this machine, which needs no process of Ray to know it
            answers = ask_nodes(holding or (None,), lambda: best_precision(_CPU))
        else:
            answers = ask_nodes(holding or (None,), lambda: best_precision(gpu()), gpus=self.gpus)
        return "bf16" if {answer for _, answer in answers} == {"bf16"} else "float32"


def _has_autoscaler() -> bool:
    """Returns whether nodes have types. Only an autoscaler gives them; else Ray names the type after the node."""
    status = get_cluster_status(ray.get_runtime_context().gcs_address)
    types = [node.ray_node_type_name for node in (*status.active_nodes, *status.idle_nodes)]
    older = _internal_kv_get("__autoscaling_status")  # of the autoscaler before version 2
    report = json.loads(older).get("autoscaler_report", {}) if older else {}
    types += (report.get("node_type_mapping") or {}).values()
    return not all(name.startswith("node_") for name in types)


def _slots(resources: dict[str, float], cpus: float, gpus: float) -> int:
    """Returns how many trials a node holds. A share of a GPU is never split over two cards."""
    by_cpu, has = int(resources.get("CPU", 0) / cpus), resources.get("GPU", 0)
    if not gpus:
        return by_cpu
    return min(by_cpu, int(has) * int(1 / gpus + 1e-9))
