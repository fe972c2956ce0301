"""The methods by name: `ours`, `ours,sampler=random,scheduler=none`, `ray-random`, `ray-optuna`, `syne-bohb`, ..."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from benchmarks.search_replay.ours import ours
from benchmarks.search_replay.peers import ray_optuna, ray_random
from benchmarks.search_replay.problem import Problem
from benchmarks.search_replay.simulate import Cluster, Method, Trace, simulate
from benchmarks.search_replay.syne import SCHEDULERS, syne
from gansearch.errors import UserError, unknown
from gansearch.search.find_space import parse_settings

REFERENCE = "ray-random"

Opener = Callable[[Problem, int, int], AbstractContextManager[Method]]
"""Opens a method for a problem, with a seed and a number of workers."""

PEERS: Mapping[str, Opener] = {
    REFERENCE: ray_random,
    "ray-optuna": ray_optuna,
    **{name: partial(syne, name) for name in SCHEDULERS},
}


def replay(name: str, problem: Problem, seed: int, cluster: Cluster) -> Trace:
    """Runs one search by the method of that name. Raises what `opener` and the method's parts raise."""
    with opener(name)(problem, seed, cluster.workers) as method:
        return simulate(method, problem, seed, cluster)


def missing(name: str, problem: Problem) -> str | None:
    """Returns the package that a method lacks here, None where it can run. Raises UserError for a wrong name."""
    try:
        with opener(name)(problem, 0, 1):
            return None
    except ModuleNotFoundError as error:
        return error.name


def opener(name: str) -> Opener:
    """Returns what opens the method of that name.

    Raises:
        UserError: There is no such method, or it takes no such choices.
    """
    kind, *settings = name.split(",")
    choices: dict[str, Any] = parse_settings(settings, None)
    if kind == "ours":
        return partial(ours, choices=choices)
    if kind not in PEERS:
        raise unknown("method", kind, ["ours", *PEERS])
    if choices:
        raise UserError(f"{name}: {kind} has no choices; only `ours` has")
    return PEERS[kind]
