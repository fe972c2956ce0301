"""The methods by name: `ours`, `ours,sampler=random,scheduler=none`, `ray-random`, `ray-optuna`."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from benchmarks.search_replay.ours import ours
from benchmarks.search_replay.peers import ray_optuna, ray_random
from benchmarks.search_replay.problem import Problem
from benchmarks.search_replay.simulate import Cluster, Method, Trace, simulate
from gansearch.errors import UserError, unknown
from gansearch.search.find_space import parse_settings

REFERENCE = "ray-random"

_Opener = Callable[[Problem, int, int], AbstractContextManager[Method]]
_PEERS: Mapping[str, _Opener] = {REFERENCE: ray_random, "ray-optuna": ray_optuna}


def replay(name: str, problem: Problem, seed: int, cluster: Cluster) -> Trace:
    """Runs one search by the method of that name.

    Raises:
        UserError: There is no such method, or it takes no such choices.
    """
    with _open(name)(problem, seed, cluster.workers) as method:
        return simulate(method, problem, seed, cluster)


def _open(name: str) -> _Opener:
    kind, *settings = name.split(",")
    choices: dict[str, Any] = parse_settings(settings, None)
    if kind == "ours":
        return lambda problem, seed, workers: ours(problem, seed, workers, choices)
    if kind not in _PEERS:
        raise unknown("method", kind, ["ours", *_PEERS])
    if choices:
        raise UserError(f"{name}: {kind} has no choices; only `ours` has")
    return _PEERS[kind]
