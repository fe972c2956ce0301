"""Looks at the GPUs of all nodes before the first trial: one process for each trial that a node can hold."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import ray
import torch
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from gansearch.config import TrainConfig
from gansearch.device import Precision, require_precision
from gansearch.errors import UserError, one_line
from gansearch.search.ray.asking import cause_of, is_alive, killed
from gansearch.search.ray.cluster import Cluster
from gansearch.training.card import Card

logger = logging.getLogger(__name__)

Look = Callable[[TrainConfig], Card]

_PATIENCE = 120.0  # seconds without an answer, after which the shares that are left belong to others
_LEAST_SHARE = 0.25  # of a GPU: more than four processes at once would find no more than four do
_GIB = 2**30


@dataclass
class NodeReport:
    """What was found on a node.

    Args:
        node_id: The node's id.
        address: The node's address.
        slots: How many trials the node can hold.
        cards: What trials would train on, by the number of the GPU on its node.
        faults: Why a trial can't train there, by the number of the GPU.
        unseen: How many shares of GPUs were not free.
    """

    node_id: str
    address: str
    slots: int
    cards: dict[str, list[Card]] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    unseen: int = 0

    def __str__(self) -> str:
        kinds_of_fault: dict[str, list[str]] = {}
        for number, fault in sorted(self.faults.items()):
            kinds_of_fault.setdefault(fault, []).append(number)
        faults = [f"GPU {', '.join(numbers)}: {fault}" for fault, numbers in kinds_of_fault.items()]
        kinds = Counter(str(looks[0]) for looks in self.cards.values())
        parts = [f"{count} x {kind}" if count > 1 else kind for kind, count in kinds.items()]
        if self.cards:
            looks = [card for seen in self.cards.values() for card in seen]
            parts.append(f"{min(card.free for card in looks) / _GIB:.1f} of {looks[0].memory / _GIB:.1f} GiB free")
        if self.unseen:
            shares = "1 share of a GPU is" if self.unseen == 1 else f"{self.unseen} shares of GPUs are"
            parts.append(f"{shares} taken by others, and not looked at")
        parts.append(f"{self.slots} trial{'' if self.slots == 1 else 's'} at once")
        return f"node {self.address}: {'; '.join(faults or parts)}"


class _Inspector:
    """Holds the share of a trial, so that no two of them look at one share."""

    def ready(self) -> None:
        """Returns when there is a share."""

    def look(self, look: Look, train: TrainConfig) -> tuple[str, Card | str]:
        """Returns the number of the GPU and what was found there, or why it is none to train on."""
        number = ",".join(map(str, ray.get_gpu_ids()))
        try:
            return number, look(train)
        except UserError as error:
            return number, one_line(error)


def inspected(cluster: Cluster, train: TrainConfig, look: Look, tell: Callable[[str], object] = logger.info) -> Cluster:
    """Returns a cluster without the nodes on which trials can't train.

    Where trials have GPUs, and where there are several nodes, `tell` gets a line for each.

    Raises:
        UserError: No node is left.
    """
    if cluster.gpus:
        reports = inspect(cluster, train, look)
    else:
        require_precision(train.precision, torch.device("cpu"))
        reports = _counted(cluster)
    broken = {report.node_id: report for report in reports if report.faults}
    if reports and len(broken) == len(reports):
        others = f", and {len(broken) - 1} more" if len(broken) > 1 else ""
        raise UserError(f"trials can't train on {reports[0]}{others}")
    for report in reports:
        if report.node_id in broken:
            logger.warning("%s: it gets no trials", report)
        elif cluster.gpus or len(reports) > 1:
            tell(str(report))
    return cluster.without(broken, _precision([report for report in reports if report.node_id not in broken]))


def _precision(reports: Sequence[NodeReport]) -> Precision | None:
    """Returns the fastest precision that all nodes have units for; None where not every node has shown a card."""
    if not reports or not all(report.cards for report in reports):
        return None
    units = {card.bf16 for report in reports for cards in report.cards.values() for card in cards}
    return "bf16" if units == {True} else "float32"


def _counted(cluster: Cluster) -> list[NodeReport]:
    """Returns what each node can hold that has a slot, without a look at anything."""
    addresses = {node["NodeID"]: node["NodeManagerAddress"] for node in ray.nodes()}
    return [NodeReport(one, addresses[one], slots) for one, slots in cluster.slots_by_node().items() if slots]


def inspect(cluster: Cluster, train: TrainConfig, look: Look) -> list[NodeReport]:
    """Looks at all shares of all GPUs at the same time, so that no card is left out, but at no more than four of one.

    A share that no process gets within two minutes belongs to somebody else. A node that is lost is left out.
    """
    share = max(cluster.gpus, _LEAST_SHARE)
    kind: Any = ray.remote(num_cpus=0, num_gpus=share, max_restarts=0)(_Inspector)
    reports, actors, asked = _counted(cluster), [], {}
    cards = {node["NodeID"]: int(node["Resources"].get("GPU", 0)) for node in ray.nodes()}
    for report in reports:
        there = NodeAffinitySchedulingStrategy(report.node_id, soft=False)
        for _ in range(cards[report.node_id] * int(1 / share + 1e-9)):
            actors.append(kind.options(scheduling_strategy=there).remote())
            is_there = actors[-1].ready.remote()
            asked[actors[-1].look.remote(look, train)] = report, is_there
    with killed(actors):
        _collect(asked)
    return [report for report in reports if is_alive(report.node_id)]


def _collect(asked: Mapping[Any, tuple[NodeReport, Any]]) -> None:
    """Waits for the answers and puts them into the reports."""
    waiting, last = list(asked), time.monotonic()
    while waiting and time.monotonic() < last + _PATIENCE:
        done, waiting = ray.wait(waiting, timeout=1)
        for answer in done:
            last, (report, _) = time.monotonic(), asked[answer]
            try:
                number, found = ray.get(answer)
            except RayError as error:
                number, found = "?", f"its process ends ({one_line(cause_of(error))})"
            if isinstance(found, Card):
                report.cards.setdefault(number, []).append(found)
            else:
                report.faults[number] = found
    for report, is_there in map(asked.__getitem__, waiting):
        if ray.wait([is_there], timeout=0)[0]:
            report.faults["?"] = f"a process that looks at it gives no answer for {_PATIENCE:.0f} s"
        else:
            report.unseen += 1
