"""What is checked, and sent to the nodes, where a driver joins a Ray cluster."""

import subprocess
import sys
import sysconfig
from pathlib import Path

import ray

import gansearch
from gansearch.errors import UserError
from gansearch.search.ray.asking import ask_nodes


def check_address(address: str) -> None:
    """Raises UserError within about ten seconds where there is no Ray cluster that this process can join."""
    program = Path(__file__).with_name("ask_cluster.py")
    done = subprocess.run(
        [sys.executable, "-P", program, address], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise UserError(no_cluster(address, done.stdout.strip() or done.stderr.strip().rpartition("\n")[2]))


def no_cluster(address: str, why: str) -> str:
    """Returns the message for an address that can't be joined."""
    return f"can't join a Ray cluster at {address} ({why}); start one with `ray start --head`, or omit --address"


def own_source() -> list[str]:
    """Returns the folder of this package where it is a source tree, which the nodes need not have."""
    package = Path(gansearch.__file__).parent
    installed = (sysconfig.get_path(name) for name in ("purelib", "platlib"))
    return [] if any(package.is_relative_to(folder) for folder in installed) else [str(package)]


def check_nodes() -> None:
    """Raises UserError where a node of the cluster can't import what a trial runs."""

    def fault() -> str | None:
        try:
            import gansearch.search.ray.trainable  # noqa: F401
        except ImportError as error:
            return f"{type(error).__name__}: {error}"
        return None

    for address, found in ask_nodes([node for node in ray.nodes() if node["Alive"]], fault):
        if found is not None:
            raise UserError(
                f"node {address} can't run trials ({found}): install there what gansearch needs, in the same versions"
            )
