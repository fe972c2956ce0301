"""A Ray of a driver's own is private, and what a driver refuses to join it refuses in one line."""

import fcntl
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

import pytest
import ray

import gansearch
from gansearch.errors import UserError
from gansearch.search.ray.joining import check_address
from gansearch.search.ray.session import _private_folder, ray_session

ROOT = Path(gansearch.__file__).parents[1]


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("127.0.0.1:1", "refused"),
        ("no.such.host.invalid:6379", "no.such.host.invalid"),
        ("ray://127.0.0.1:10001", "Ray Client is not supported"),
        ("somewhere", "HOST:PORT"),
        ("127.0.0.1:99999", "HOST:PORT"),
        (":6379", "HOST:PORT"),
        ("", "HOST:PORT"),
    ],
)
def test_an_address_that_nobody_can_join(address: str, why: str) -> None:
    assert why in refusal(address)


def refusal(address: str) -> str:
    with pytest.raises(UserError) as error:
        check_address(address)
    message = str(error.value)
    assert "\n" not in message and "ray start" in message
    return message


def test_auto_names_the_address_that_it_has_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    assert "127.0.0.1:1" in refusal("auto")


@pytest.mark.slow
def test_a_server_that_is_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("", 0)) as server:
        assert "no answer within" in refusal(f"127.0.0.1:{server.getsockname()[1]}")


def test_the_files_of_a_driver_that_was_killed_are_removed_by_the_next_one() -> None:
    with _private_folder() as folder:
        left = Path(tempfile.mkdtemp(prefix="gansearch-", dir=Path(folder.name).parent))
    with (left / "driver.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with _private_folder():
            assert left.exists()
    with _private_folder() as folder:
        assert not left.exists()
        with _private_folder():
            assert Path(folder.name, "driver.lock").exists()
    assert not Path(folder.name).exists()


def with_token(token: str) -> list[Path]:
    """Returns the processes whose environment has a token, this one left out: its environment at its start is shown."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            found += [process] if token.encode() in (process / "environ").read_bytes() else []
    return found


def listening(processes: list[Path]) -> set[str]:
    """Returns the IP addresses at which processes listen."""
    inodes = set()
    for descriptor in [one for process in processes for one in (process / "fd").iterdir()]:
        with suppress(OSError):
            inodes.add(str(descriptor.readlink()).removeprefix("socket:[").removesuffix("]"))
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == "0A" and inode in inodes:
                words = bytes.fromhex(local.partition(":")[0])  # 32 bits each, in the order of the machine
                address = ip_address(b"".join(words[at : at + 4][::-1] for at in range(0, len(words), 4)))
                found.add(str(getattr(address, "ipv4_mapped", None) or address))
    return found


@pytest.mark.slow
def test_a_ray_of_ones_own_is_private_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    with ray_session(None):
        token = os.environ["RAY_AUTH_TOKEN"]
        assert ray.get(ray.remote(lambda: os.environ["RAY_AUTH_TOKEN"]).remote()) == token
        processes = with_token(token)
        assert len(processes) > 3, "the GCS, the raylet, its agents, a worker"
        assert listening([*processes, Path("/proc/self")]) == {"127.0.0.1"}
        assert {os.getpgid(int(process.name)) for process in processes}.isdisjoint({os.getpgid(0)})
        (folder,) = Path(os.environ["RAY_TMPDIR"]).glob("gansearch-*")
        assert folder.stat().st_mode & 0o077 == 0, "nobody else can enter"
    assert "RAY_AUTH_TOKEN" not in os.environ
    assert list(tmp_path.iterdir()) == [], "no token is written to the home of the user"
    deadline = time.monotonic() + 30
    while with_token(token):
        assert time.monotonic() < deadline, "a process is left"
        time.sleep(0.1)
    assert not list(Path(os.environ["RAY_TMPDIR"]).glob("gansearch-*"))


class Guarded(NamedTuple):
    address: str
    token: str


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A cluster that demands a token, and whose nodes have another gansearch, which can't be imported."""
    folder, token = tmp_path_factory.mktemp("nodes"), secrets.token_hex(16)
    (folder / "gansearch.py").write_text("raise ImportError('not this one')")
    code = (
        "import sys\nfrom ray.cluster_utils import Cluster\ncluster = Cluster()\n"
        "cluster.add_node(num_cpus=1, object_store_memory=100 * 2**20)\n"
        "print(cluster.address, flush=True)\nsys.stdin.read()\ncluster.shutdown()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token, "PYTHONPATH": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    yield Guarded(process.stdout.readline().strip(), token)
    process.communicate(timeout=60)


@pytest.mark.slow
def test_a_cluster_is_joined_with_its_token_and_in_its_version(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "another token" in refusal(guarded.address)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    assert "token" in refusal(guarded.address)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 32)
    assert "another token" in refusal(guarded.address)
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray/auth_token").write_text(guarded.token)
    check_address(guarded.address)
    other = json.dumps({"ray_version": "2.40.0", "python_version": "3.9.1"})
    code = (
        "import sys\nfrom ray._raylet import GcsClient\nclient = GcsClient(address=sys.argv[1])\n"
        "print(client.internal_kv_get(b'CLUSTER_METADATA', b'cluster').decode())\n"
        "client.internal_kv_put(b'CLUSTER_METADATA', sys.argv[2].encode(), True, b'cluster')"
    )

    def put(metadata: str) -> str:
        words = [sys.executable, "-c", code, guarded.address, metadata]
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout

    before = put(other)
    assert "it has Ray 2.40.0 and Python 3.9.1, here are " + ray.__version__ in refusal(guarded.address)
    put(before)


@pytest.mark.slow
@pytest.mark.parametrize("sent", [True, False])
def test_the_nodes_get_the_source_tree_or_are_named(guarded: Guarded, sent: bool, tmp_path: Path) -> None:
    """In a process of its own, as a user's: the token is in the environment from the start."""
    code = (
        "import sys\nimport gansearch.search.ray.session as session\n"
        f"if not {sent}: session.own_source = list\n"
        "from gansearch.errors import UserError\n"
        "try:\n    with session.ray_session(sys.argv[1]): pass\nexcept UserError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, guarded.address],
        cwd=tmp_path,  # Ray lets workers import from the driver's folder
        env={**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": guarded.token, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    if sent:
        assert (done.stdout, done.returncode) == ("", 0), done.stderr
    else:
        assert done.stdout.startswith(f"node {guarded.address.partition(':')[0]} can't run trials"), done.stderr
        assert "not this one" in done.stdout
