"""A Ray for one driver: one of its own on this machine, or that of a cluster which the driver joins."""

import fcntl
import logging
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import ray
from ray._common.utils import get_default_system_temp_dir
from ray._private import ray_constants, services
from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]
from ray.exceptions import RayError, RuntimeEnvSetupError

from gansearch.errors import UserError, one_line
from gansearch.search.ray.cluster import cores
from gansearch.search.ray.joining import check_address, check_nodes, no_cluster, own_source

# Tune reads these in the driver.
_TUNE_ENVIRONMENT = {
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # a diverged trial has no FID
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",  # resuming does not use Tune's own snapshots
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_TRAIN_COUNT_PREEMPTION_AS_FAILURE": "1",  # else Tune restarts a trial whose node is drained, by itself
    "RAY_USAGE_STATS_ENABLED": "0",
}
_OBJECT_STORE = 200 * 1024**2  # bytes; trials send each other nothing
_PREFIX, _LOCK = "gansearch-", "driver.lock"  # of a private folder
_LONGEST_TMP = 20  # characters: what Ray appends to it must stay a path that a socket can have


@contextmanager
def ray_session(address: str | None, code: Sequence[str] = ()) -> Iterator[Callable[[], None]]:
    """Joins the Ray cluster at `address` within the block, or starts a new Ray; raises UserError where that fails.

    The files and folders `code` travel to every process of Ray that works for this driver, which can import them. The
    function that the block gets ends a Ray of the driver's own at once.
    """
    os.environ.update(_TUNE_ENVIRONMENT)
    if address is not None:
        check_address(address)
        code = [*code, *own_source()]
    common: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": True}
    if code:
        common["runtime_env"] = {"py_modules": list(code)}
    with ExitStack() as stack:
        # On stdout, where results belong, Ray would print which processes and nodes are lost. The rows have that.
        stack.enter_context(patch.object(ray._private.worker, "_worker_logs_enabled", False))
        try:
            with patch.object(ray._private.utils, "set_sigterm_handler"):  # signals end a search in order
                kill = stack.enter_context(_own_ray(common) if address is None else _joined(address, common))
        except RuntimeEnvSetupError as error:
            raise UserError(f"the nodes can't be sent the trials' code ({one_line(error)}): install it there") from None
        except (OSError, ValueError, RuntimeError, RayError) as error:
            here = f"Ray does not start ({one_line(error)})"
            raise UserError(here if address is None else no_cluster(address, one_line(error))) from None
        if address is not None:
            check_nodes()
        logging.getLogger("ray").setLevel(logging.CRITICAL)  # a failed trial is in the rows, with its reason
        yield kill


@contextmanager
def _joined(address: str, common: dict[str, Any]) -> Iterator[Callable[[], None]]:
    """Joins a cluster, whose nodes go on after the block."""
    try:
        ray.init(address, **common)
        yield lambda: None
    finally:
        ray.shutdown()


@contextmanager
def _own_ray(common: dict[str, Any]) -> Iterator[Callable[[], None]]:
    """Starts a Ray that nobody but this driver uses; no process, folder or token of it is left after the block.

    It listens on the loopback interface only, as Ray does on other systems than Linux. Its processes have sessions of
    their own, so that a signal to the driver's process group (Slurm, systemd, a closed terminal) leaves it to the
    driver to end them; they die with the driver. Its folder lies in one that only this user can enter, apart from the
    default one, in which `ray start` notes the address of a cluster.
    """
    popen, started = services.ConsolePopen, []

    def start(*args: Any, **kwargs: Any) -> subprocess.Popen[bytes]:
        started.append(popen(*args, start_new_session=True, **kwargs))
        return started[-1]

    def kill() -> None:
        for process in started:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        folder.cleanup()

    with _private_folder() as folder, _own_token():
        try:
            with (
                patch.object(ray_constants, "ENABLE_RAY_CLUSTER", False),
                patch.object(services, "ConsolePopen", start),
            ):
                ray.init(
                    "local",
                    num_cpus=cores(),
                    include_dashboard=False,
                    object_store_memory=_OBJECT_STORE,
                    _temp_dir=f"{folder.name}/ray",
                    **common,
                )
            yield kill
        finally:
            ray.shutdown()
            kill()  # agents of a raylet that were still starting would look for it for a minute


@contextmanager
def _private_folder() -> Iterator[tempfile.TemporaryDirectory[str]]:
    """Makes a folder for the files of a Ray, and removes those of drivers that were killed.

    The driver that uses a folder has locked it. Who removes one locks it first, so that nobody removes another one in
    its place.
    """
    parent = get_default_system_temp_dir()
    if len(parent) > _LONGEST_TMP:
        parent = "/tmp"
    for left in Path(parent).glob(f"{_PREFIX}*/{_LOCK}"):
        with suppress(OSError), left.open() as lock:  # in use, removed meanwhile, or another user's
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left.parent, ignore_errors=True)
    folder = tempfile.TemporaryDirectory(prefix=_PREFIX, dir=parent, ignore_cleanup_errors=True)
    fresh = Path(folder.name, "fresh")
    with folder, fresh.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        fresh.rename(fresh.with_name(_LOCK))
        yield folder


@contextmanager
def _own_token() -> Iterator[None]:
    """Lets Ray demand a new token within the block, which stands in the environment of its processes alone."""
    try:
        with patch.dict(os.environ, {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}):
            _reread_environment()
            yield
    finally:
        _reread_environment()


def _reread_environment() -> None:
    """Lets Ray, which is loaded already, read from the environment whether there is a token."""
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()
