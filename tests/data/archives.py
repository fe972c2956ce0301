"""Small archives of the layouts that torchvision fetches, and a local server for these archives."""

import contextlib
import gzip
import hashlib
import io
import pickle
import struct
import tarfile
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torchvision.datasets import CIFAR10, FashionMNIST

from gansearch.data import fashion_mnist

CIFAR10_PER_BATCH = 4
FASHION_MNIST_IMAGES = {"train": 20, "t10k": 5}


def cifar10_batch() -> np.ndarray:
    """The images of the first batch, as CIFAR-10 stores them: uint8 (N, 3072)."""
    return np.random.default_rng(0).integers(0, 256, (CIFAR10_PER_BATCH, 3072), dtype=np.uint8)


def write_cifar10(folder: Path) -> dict[str, Any]:
    """Writes the archive; returns the attributes of torchvision's CIFAR10 that describe the archive."""
    rng = np.random.default_rng(0)
    files = {}
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        data = rng.integers(0, 256, (CIFAR10_PER_BATCH, 3072), dtype=np.uint8)
        files[name] = pickle.dumps({"data": data, "labels": rng.integers(0, 10, CIFAR10_PER_BATCH).tolist()})
    files["batches.meta"] = pickle.dumps({"label_names": [f"class{i}" for i in range(10)]})
    with tarfile.open(folder / CIFAR10.filename, "w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"{CIFAR10.base_folder}/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    sums = {name: hashlib.md5(content).hexdigest() for name, content in files.items()}
    return {
        "train_list": [[f"data_batch_{i}", sums[f"data_batch_{i}"]] for i in range(1, 6)],
        "test_list": [["test_batch", sums["test_batch"]]],
        "meta": {**CIFAR10.meta, "md5": sums["batches.meta"]},
        "tgz_md5": hashlib.md5((folder / CIFAR10.filename).read_bytes()).hexdigest(),
    }


def fashion_mnist_arrays(prefix: str) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (N, 28, 28) and labels uint8 (N,) of the training (`train`) or the test images (`t10k`)."""
    rng = np.random.default_rng(len(prefix))
    count = FASHION_MNIST_IMAGES[prefix]
    return rng.integers(0, 256, (count, 28, 28), dtype=np.uint8), rng.integers(0, 10, count, dtype=np.uint8)


def write_fashion_mnist(folder: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Writes the four files; returns the attributes of FashionMNIST that describe the files, and their unpacked MD5."""
    folder.mkdir(parents=True, exist_ok=True)
    sums, unpacked = {}, {}
    for prefix in FASHION_MNIST_IMAGES:
        for kind, array in zip(("images-idx3", "labels-idx1"), fashion_mnist_arrays(prefix), strict=True):
            name = f"{prefix}-{kind}-ubyte"
            content = struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()
            packed = gzip.compress(content, mtime=0)
            (folder / f"{name}.gz").write_bytes(packed)
            sums[f"{name}.gz"], unpacked[name] = (hashlib.md5(part).hexdigest() for part in (packed, content))
    return {"resources": [[name, sums[name]] for name, _ in FashionMNIST.resources]}, unpacked


class _Handler(SimpleHTTPRequestHandler):
    asked: list[str]

    def log_message(self, format: str, *args: object) -> None:
        self.asked.append(f"{self.command} {self.path}")

    def copyfile(self, source: Any, outputfile: Any) -> None:
        time.sleep(0.05)  # long enough for two processes to download at once
        # torchvision first asks where the address leads, and closes the connection before the body has come.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            super().copyfile(source, outputfile)


class Served:
    """Both data sets at a local address: `folder` holds the served files, `asked` the requests to the server."""

    def __init__(self, folder: Path, url: str, asked: list[str]) -> None:
        self.folder, self.asked = folder, asked
        sums, unpacked = write_fashion_mnist(folder)
        self.settings: dict[str, dict[str, Any]] = {
            "CIFAR10": {**write_cifar10(folder), "url": f"{url}/{CIFAR10.filename}"},
            "FashionMNIST": {**sums, "mirrors": [f"{url}/"]},
            "fashion_mnist": {"UNPACKED_MD5": unpacked, "DEBIAN": str(folder / "no-such-package")},
        }


def apply(settings: dict[str, dict[str, Any]], patch: pytest.MonkeyPatch | None = None) -> None:
    """Sets the addresses and hashes of the small archives in torchvision and in the package."""
    setter = patch.setattr if patch else setattr
    for target, name in ((CIFAR10, "CIFAR10"), (FashionMNIST, "FashionMNIST"), (fashion_mnist, "fashion_mnist")):
        for attribute, value in settings.get(name, {}).items():
            setter(target, attribute, Path(value) if attribute == "DEBIAN" else value)


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Served]:
    """Writes both archives into `folder` and serves the folder."""
    folder.mkdir()
    asked: list[str] = []
    handler = type("Handler", (_Handler,), {"asked": asked})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield Served(folder, f"http://127.0.0.1:{server.server_port}", asked)
    finally:
        server.shutdown()
        server.server_close()
