"""Where trials may run: the slots that a cluster has by now, and nodes that an autoscaler shall add."""

import time
from collections.abc import Callable
from typing import Any

import ray
from ray._private.state import actors
from ray.tune import PlacementGroupFactory
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group

from gansearch.search.health import Health
from gansearch.search.ray.cluster import Cluster, not_on

_FRESH = 1  # seconds for which Ray's answer counts


class Placement:
    """The slots of the nodes that are alive by now, without those that are avoided.

    An autoscaler starts nodes for what is pending. A trial is handed out where a slot is free only, so placement groups
    without a trial are pending here: as many as trials could run, at most as many as there are slots. One that gets its
    node is removed, and leaves the node to a trial.

    Args:
        cluster: The share of a trial, and what limits the number of slots.
        health: Says which nodes are avoided.
        work: Returns how many trials could start now; None where there is no end.
    """

    def __init__(self, cluster: Cluster, health: Health, work: Callable[[], int | None]) -> None:
        self._cluster, self._health, self._work = cluster, health, work
        self._slots: dict[str, int] = {}  # by node
        self._pending: list[tuple[PlacementGroup, ray.ObjectRef]] = []
        self._asked = -float("inf")
        self._running = 0

    def slots(self, running: int = 0) -> int:
        """Returns how many trials may run at once. So many are `running`: what more could, waits for an autoscaler."""
        self._running = running
        avoided = self.avoided()
        slots = sum(slots for node, slots in self._slots.items() if node not in avoided)
        return min(slots, self._cluster.max_concurrent or slots)

    def room(self) -> dict[str, int]:
        """Returns how many trials each node holds, by the ids of those that are alive and can hold one."""
        self._ask()
        most = self._cluster.max_concurrent
        return {node: min(slots, most or slots) for node, slots in self._slots.items() if slots}

    def avoided(self, trial_id: str | None = None) -> list[str]:
        """Returns the ids of the nodes that are alive and get no trial, or not this one."""
        return sorted(self._health.avoided(self.room(), trial_id))

    def close(self) -> None:
        """Asks for no more nodes."""
        self._ask_for_nodes(0)

    def _ask(self) -> None:
        if time.monotonic() < self._asked + _FRESH:
            return
        self._slots, self._asked = self._cluster.slots_by_node(), time.monotonic()
        if self._cluster.is_elastic:
            there, limit, work = sum(self._slots.values()), self._cluster.max_concurrent, self._work()
            wanted = max(1, there)
            if work is not None:
                wanted = min(wanted, self._running + work - there)
            if limit is not None:
                wanted = min(wanted, limit - there)
            self._ask_for_nodes(max(0, wanted))

    def _ask_for_nodes(self, count: int) -> None:
        """Lets so many placement groups be pending."""
        ready, _ = ray.wait([ref for _, ref in self._pending], num_returns=len(self._pending), timeout=0)
        got = set(ready)
        kept = [(group, ref) for group, ref in self._pending if ref not in got][:count]
        for group, ref in self._pending:
            if (group, ref) not in kept:
                remove_placement_group(group)
        while len(kept) < count:
            group = placement_group([share_of(self._cluster.cpus, self._cluster.gpus)])
            kept.append((group, group.ready()))
        self._pending = kept


def process_of(actor_id: str | None) -> tuple[str | None, int]:
    """Returns the id of an actor's node and the number of the actor's process; None and 0 where Ray does not know."""
    actor = actors(actor_id) if actor_id is not None else {}
    return (actor["Address"]["NodeID"] or None, actor["Pid"]) if actor else (None, 0)


def share_of(cpus: float, gpus: float) -> dict[str, float]:
    """Returns the resources of a trial, as Ray names them."""
    return {"CPU": cpus, "GPU": gpus} if gpus else {"CPU": cpus}


def bundle(config: dict[str, Any]) -> PlacementGroupFactory:
    """Returns what a trial with this Ray config reserves: its share of a node that is not avoided."""
    share = share_of(config["cpus"], config["gpus"])
    if not config["avoid"]:
        return PlacementGroupFactory([share])
    return PlacementGroupFactory([share], bundle_label_selector=[not_on(config["avoid"])])
