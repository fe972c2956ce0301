"""CIFAR-10 through its real download code, from a local server with a small archive of the right layout."""

import contextlib
import hashlib
import io
import pickle
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torchvision.datasets import CIFAR10

from gansearch.data.cifar10 import Cifar10
from gansearch.errors import UserError

PER_BATCH = 4


class Quiet(SimpleHTTPRequestHandler):
    asked: list[str]

    def log_message(self, format: str, *args: object) -> None:
        self.asked.append(f"{self.command} {self.path}")

    def copyfile(self, source: Any, outputfile: Any) -> None:
        # torchvision first asks where the address leads, and hangs up before the body has come.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            super().copyfile(source, outputfile)


@pytest.fixture
def asked() -> list[str]:
    """The requests that reached the server."""
    return []


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[str]) -> Iterator[Path]:
    """A served archive of the right layout, whose sums torchvision is told."""
    folder = tmp_path / "served"
    folder.mkdir()
    path = folder / CIFAR10.filename
    sums = write_archive(path)
    monkeypatch.setattr(CIFAR10, "train_list", [[f"data_batch_{i}", sums[f"data_batch_{i}"]] for i in range(1, 6)])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": sums["batches.meta"]})
    monkeypatch.setattr(CIFAR10, "tgz_md5", hashlib.md5(path.read_bytes()).hexdigest())
    handler = type("Handler", (Quiet,), {"asked": asked})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setattr(CIFAR10, "url", f"http://127.0.0.1:{server.server_port}/{path.name}")
    yield path
    server.shutdown()
    server.server_close()


def write_archive(path: Path) -> dict[str, str]:
    """Writes a tiny archive; the MD5 of each file in it."""
    rng = np.random.default_rng(0)
    files = {}
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        data = rng.integers(0, 256, (PER_BATCH, 3072), dtype=np.uint8)
        files[name] = pickle.dumps({"data": data, "labels": rng.integers(0, 10, PER_BATCH).tolist()})
    files["batches.meta"] = pickle.dumps({"label_names": [f"class{i}" for i in range(10)]})
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"{CIFAR10.base_folder}/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return {name: hashlib.md5(content).hexdigest() for name, content in files.items()}


def test_it_is_downloaded_once(archive: Path, tmp_path: Path, asked: list[str]) -> None:
    dataset = Cifar10(dir=str(tmp_path / "data"))
    train = dataset.load("train")
    requests = len(asked)
    test = dataset.load("test")
    assert 0 < requests == len(asked)
    assert train.pixels.shape == (5 * PER_BATCH, 3, 32, 32) and test.pixels.shape == (PER_BATCH, 3, 32, 32)
    assert train.labels is not None and len(train.labels) == 5 * PER_BATCH
    assert train.classes == tuple(f"class{i}" for i in range(10))
    first = np.random.default_rng(0).integers(0, 256, (PER_BATCH, 3072), dtype=np.uint8)
    assert np.array_equal(train.pixels[:PER_BATCH].numpy().reshape(PER_BATCH, -1), first)


def test_the_default_place_is_the_cache(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANSEARCH_CACHE", str(tmp_path / "cache"))
    assert Cifar10(resolution=16).load("test").pixels.shape == (PER_BATCH, 3, 16, 16)
    assert (tmp_path / "cache" / "data" / CIFAR10.base_folder / "test_batch").is_file()


def test_an_archive_put_there_by_hand_needs_no_network(archive: Path, tmp_path: Path, asked: list[str]) -> None:
    place = tmp_path / "data"
    place.mkdir()
    archive.rename(place / archive.name)
    assert len(Cifar10(dir=str(place)).load("train")) == 5 * PER_BATCH
    assert asked == []


def test_stdout_stays_free_for_results(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Cifar10(dir=str(tmp_path / "data")).load("train")
    assert capsys.readouterr().out == ""


def test_a_failed_download_says_what_to_do_offline(archive: Path, tmp_path: Path) -> None:
    archive.unlink()
    with pytest.raises(UserError, match=r"404.*put cifar-10-python.tar.gz into .*--data-dir") as caught:
        Cifar10(dir=str(tmp_path / "data")).load("train")
    assert "\n" not in str(caught.value)


def test_a_damaged_archive_is_refused(archive: Path, tmp_path: Path) -> None:
    archive.write_bytes(archive.read_bytes()[:-20])
    with pytest.raises(UserError, match="corrupted"):
        Cifar10(dir=str(tmp_path / "data")).load("train")
