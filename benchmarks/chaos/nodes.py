"""A cluster of Ray on this machine, whose nodes and workers are processes that can be killed one by one."""

import os
import signal
import threading
from contextlib import suppress
from tempfile import TemporaryDirectory
from typing import Any

import psutil
from ray.cluster_utils import Cluster

_STORE = 100 * 2**20  # bytes
# A node that is lost is found out after 3 s in place of 15: nodes are lost every few seconds here, and not every hour.
_CHECKS = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
}
_SERVICES = ("ray::DashboardAgent", "ray::RuntimeEnvAgent")  # of a raylet, beside its workers


class Nodes:
    """A head without slots, and `count` nodes with one slot each. All are processes of this machine.

    Ray writes its files to a folder of this cluster, so that the cluster file of no other Ray is overwritten.
    """

    def __init__(self, count: int) -> None:
        self._folder = TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True)  # a short path, as of a socket
        os.environ |= {"RAY_TMPDIR": self._folder.name, "RAY_worker_niceness": "0", **_CHECKS}
        self._cluster = Cluster(shutdown_at_exit=False)
        self._cluster.add_node(num_cpus=0, object_store_memory=_STORE)
        self.address: str = self._cluster.address
        self.alive: list[Any] = []
        self._joining: threading.Thread | None = None
        for _ in range(count):
            self._add()

    def _add(self) -> None:
        self.alive.append(self._cluster.add_node(num_cpus=1, object_store_memory=_STORE))

    def join(self) -> bool:
        """Lets a new node join, in the background; returns whether it is the only one that joins now."""
        if self._joining is not None and self._joining.is_alive():
            return False
        self._joining = threading.Thread(target=self._add)
        self._joining.start()
        return True

    def lose(self, node: Any) -> None:
        """Kills all processes of a node at once, as a preemption does."""
        self.alive.remove(node)
        _kill_all(node)
        self._cluster.remove_node(node, allow_graceful=False)  # reaps what is dead

    def workers(self) -> list[psutil.Process]:
        """Returns the workers of all nodes that are alive, those that are still starting too."""
        found = []
        for node in list(self.alive):
            children = _raylet_of(node).children()
            found += [child for child in children if name_of(child) and not name_of(child).startswith(_SERVICES)]
        return found

    def close(self) -> None:
        """Ends the cluster."""
        if self._joining is not None:
            self._joining.join()
        for node in [*self.alive, self._cluster.head_node]:
            _kill_all(node)
            self._cluster.remove_node(node, allow_graceful=False)
        self._folder.cleanup()


def name_of(process: psutil.Process) -> str:
    """Returns the command line of a process, in which Ray says what a worker does; empty where it has ended."""
    try:
        return " ".join(process.cmdline()).strip()
    except psutil.Error:
        return ""


def kill(process: psutil.Process, number: int = signal.SIGKILL) -> None:
    with suppress(psutil.NoSuchProcess):  # it has ended by itself
        process.send_signal(number)


def _kill_all(node: Any) -> None:
    """Kills all processes of a node, its workers too."""
    raylet = _raylet_of(node)
    for process in [raylet, *raylet.children(recursive=True)]:
        kill(process)


def _raylet_of(node: Any) -> psutil.Process:
    (raylet,) = node.all_processes["raylet"]
    return psutil.Process(raylet.process.pid)
