"""`python ask_cluster.py ADDRESS`: prints in one line why a driver on this machine can't join a Ray cluster, if so.

A program, which imports nothing of the package: calls into Ray wait for minutes where a server does not answer, and
write to stderr. A process of its own can end in the midst of one.
"""

import os
import socket
import sys
import threading
from typing import NoReturn

_REACH, _ANSWER = 4.0, 7.0  # seconds


def main(given: str) -> NoReturn:
    """Ends the program: with 0 where a driver can join, else with 1 and a line."""
    where = given
    try:
        where = _resolved(given)
        _reach(where)
        _ask(where)
    except Exception as error:  # noqa: BLE001 - whatever it is, a driver can't join
        why = str(getattr(error, "strerror", None) or error)
        _end(" ".join(why.split()) or type(error).__name__, where)
    os._exit(0)  # not waiting for threads of Ray


def _end(why: str, where: str) -> NoReturn:
    print(why if where == sys.argv[1] else f"{where}: {why}", flush=True)
    os._exit(1)


def _resolved(address: str) -> str:
    """Returns the HOST:PORT that `ray.init` takes for an address. Raises an error where `auto` finds none."""
    if address != "auto":
        return address
    if known := os.environ.get("RAY_ADDRESS"):
        return known
    from ray._private import services
    from ray._private.authentication import authentication_token_setup as tokens

    if hasattr(tokens, "maybe_enable_token_auth_if_token_available"):
        tokens.maybe_enable_token_auth_if_token_available()  # as later versions of Ray do for a cluster that they find
    return services.canonicalize_bootstrap_address_or_die(address)


def _limited(seconds: float, where: str) -> threading.Timer:
    """Starts a timer that ends the program."""
    timer = threading.Timer(seconds, _end, [f"no answer within {seconds:g} s", where])
    timer.daemon = True
    timer.start()
    return timer


def _reach(where: str) -> None:
    """Raises an error where nobody listens at HOST:PORT."""
    host, _, port = where.rpartition(":")
    if "://" in where:
        raise ValueError("Ray Client is not supported: on a node of the cluster, give HOST:PORT of `ray start`")
    if not host or not port.isdigit() or not 0 < int(port) < 2**16:
        raise ValueError("not of the form HOST:PORT")
    timer = _limited(_REACH, where)
    socket.create_connection((host.strip("[]"), int(port)), timeout=_REACH).close()
    timer.cancel()


def _ask(where: str) -> None:
    """Raises an error where a Ray cluster can't be joined: its token, its versions, its nodes."""
    from ray._common.usage.usage_lib import get_cluster_metadata
    from ray._private import services
    from ray._private.authentication.authentication_token_setup import ensure_token_if_auth_enabled
    from ray._private.utils import check_version_info, compute_version_info
    from ray._raylet import GcsClient  # type: ignore[attr-defined]
    from ray.core.generated.gcs_pb2 import GcsNodeInfo  # type: ignore[attr-defined]
    from ray.exceptions import AuthenticationError

    address = services.canonicalize_bootstrap_address(where) or where  # localhost becomes this machine's own address
    _reach(address)
    _limited(_ANSWER, where)
    try:
        ensure_token_if_auth_enabled(create_token_if_missing=False)
        gcs = GcsClient(address=address)
        metadata, nodes = get_cluster_metadata(gcs), gcs.get_all_node_info(timeout=_ANSWER)
    except AuthenticationError:
        raise ValueError(
            "it takes another token: set RAY_AUTH_MODE=token, and give its token in RAY_AUTH_TOKEN or ~/.ray/auth_token"
        ) from None
    try:
        if metadata:
            check_version_info(metadata, "")
    except RuntimeError:
        there, here = (metadata["ray_version"], metadata["python_version"]), compute_version_info()
        raise ValueError(
            f"it has Ray {there[0]} and Python {there[1]}, here are {here[0]} and {here[1]}: install the same"
        ) from None
    alive = {id.hex() for id, info in nodes.items() if info.state == GcsNodeInfo.GcsNodeState.Value("ALIVE")}
    if not alive:
        raise ValueError("it has no node that is alive")
    if alive.isdisjoint(services._find_address_from_flag("--node_id")):
        raise ValueError(f"no node of it is on this machine: run `ray start --address {address}` here first")


if __name__ == "__main__":
    main(sys.argv[1])
