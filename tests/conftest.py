"""What all tests share."""

import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

# Before NumPy and torch are imported, and for all processes that a test starts: pytest runs a worker on each core. Ray
# would give its workers so little of a core beside another test that most of a search is waiting.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", RAY_worker_niceness="0")

import pytest
import torch
from hypothesis import HealthCheck, settings

from gansearch.config import TrialConfig

torch.set_num_threads(1)
# How long an example takes is the machine's affair: no test asserts a time.
settings.register_profile("no clock", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("no clock")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Reference statistics are cached for the session, away from the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANSEARCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _own_ray() -> Iterator[None]:
    """Ray notes clusters, and looks for them, in a folder of the session; a socket's path has to be short."""
    folder = TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True)
    with folder as short, pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", short)
        yield


@pytest.fixture(autouse=True)
def _own_modules(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A module that a test writes and imports is forgotten: the next test may write another one of that name."""
    before, path = set(sys.modules), list(sys.path)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(tmp_path_factory.getbasetemp())):
            del sys.modules[name]


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of its own that is full, with the file `old` in it."""
    folder = tmp_path / "full disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("only root can mount a small disk")
    try:
        (folder / "old").write_bytes(bytes(2**16))
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.fixture(scope="session")
def tiny() -> TrialConfig:
    """A whole trial in a fraction of a second: three evaluations, ten D steps apart."""
    return TrialConfig().override(
        {
            "data.resolution": 16,
            "model.features": 8,
            "model.z_dim": 16,
            "train.precision": "float32",  # on every machine
            "train.batch": 16,
            "train.evaluations": 3,
            "train.max_kimg": 0.48,
            "metrics.num_fake": 64,
        }
    )


def pytest_collection_finish() -> None:
    """Nothing that the libraries hold is garbage: a collection need not go through millions of objects every time."""
    gc.collect()
    gc.freeze()
