"""Questions to the nodes of the cluster that this process has joined."""

import logging
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from gansearch.errors import UserError, one_line

logger = logging.getLogger(__name__)

T = TypeVar("T")

_SECONDS = 120.0  # in which a node answers; it may read its packages from a slow disk
_MINUTE = 60.0
_ANSWER_SECONDS = 5  # in which a node that is alive takes a connection


def ask_nodes(
    nodes: Iterable[dict[str, Any] | None], question: Callable[[], T], *, gpus: float | None = None
) -> list[tuple[str, T]]:
    """Returns the address of each node with its answer to a question. A node that is lost meanwhile is left out.

    Args:
        nodes: The nodes, as `ray.nodes()` describes them. None stands for the first one that an autoscaler starts.
        question: A function, which runs on the node.
        gpus: The GPUs that it needs, for which it waits as long as others have them; None for a question that is to be
            answered within two minutes.

    Raises:
        UserError: A node that is alive gives no answer, or the question fails there.
    """
    # The process that has had a GPU ends: it would keep memory of it.
    asked = ray.remote(question) if gpus is None else ray.remote(num_gpus=gpus, max_calls=1)(question)
    questions = {}
    for node in nodes:
        there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) if node else None
        questions[asked.options(num_cpus=0, num_gpus=gpus or 0, scheduling_strategy=there).remote()] = node
    begun, open_ones = time.monotonic(), list(questions)
    while open_ones and (gpus is not None or time.monotonic() < begun + _SECONDS):
        _, open_ones = ray.wait(open_ones, num_returns=len(open_ones), timeout=_MINUTE)
        if open_ones and gpus is not None:
            where = ", ".join(_address(questions[one]) for one in open_ones)
            logger.info("waiting for %g GPU of %s: `ray status` shows what is up", gpus, where)
        open_ones = [one for one in open_ones if _may_answer(questions[one])]
    found = []
    for one, node in questions.items():
        try:
            found.append((_address(node), ray.get(one, timeout=0)))
        except (RayError, TimeoutError) as error:
            if _may_answer(node):
                late = one in open_ones
                why = f"no answer within {_SECONDS:g} s" if late else one_line(cause_of(error))
                raise UserError(f"node {_address(node)} does not work ({why}): fix it, or stop it") from None
    return found


def wait_for(answers: Sequence[Any], gpus: float) -> None:
    """Waits for the answers of tasks and actors that need such a share of a GPU each; says so every minute."""
    while len(ray.wait(list(answers), num_returns=len(answers), timeout=_MINUTE)[0]) < len(answers):
        what = f"{gpus:g} GPU" if gpus else "CPU cores"
        logger.info("waiting for %s: `ray status` shows what is up, and what others have", what)


def cause_of(error: Exception) -> Exception:
    """Returns what a task or an actor has raised; the error of Ray itself where the process was lost."""
    return getattr(error, "cause", None) or error


@contextmanager
def killed(actors: Sequence[Any]) -> Iterator[None]:
    """Ends the actors after the block, so that others find their shares."""
    try:
        yield
    finally:
        for actor in actors:
            ray.kill(actor)


def is_alive(node_id: str) -> bool:
    """Returns whether a node is alive. Ray takes 15 s to notice that one is lost, so the node itself is asked too."""
    for node in ray.nodes():
        if node["NodeID"] == node_id and node["Alive"]:
            with suppress(OSError):
                socket.create_connection(
                    (node["NodeManagerAddress"], node["NodeManagerPort"]), timeout=_ANSWER_SECONDS
                ).close()
                return True
    return False


def _address(node: dict[str, Any] | None) -> str:
    return node["NodeManagerAddress"] if node else "a node that is to be started"


def _may_answer(node: dict[str, Any] | None) -> bool:
    return node is None or is_alive(node["NodeID"])
