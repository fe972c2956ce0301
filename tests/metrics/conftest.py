"""Weights of random values, and a local server in place of those that publish weights."""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from benchmarks.random_inception import write_weights
from gansearch.cache import sha256
from gansearch.metrics.extractors.published import Published

Serve = Callable[[type[Published], Path], list[str]]


@pytest.fixture(scope="session")
def random_inception(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights file of the published layout."""
    return write_weights(tmp_path_factory.mktemp("weights") / "random.pth")


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Makes a file an extractor's published weights, on a local server; returns its requests. The cache is empty."""
    monkeypatch.setenv("GANSEARCH_CACHE", str(tmp_path / "cache"))
    servers: list[ThreadingHTTPServer] = []

    def publish(extractor: type[Published], weights: Path) -> list[str]:
        asked: list[str] = []

        class Handler(SimpleHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:
                asked.append(self.path)

        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(weights.parent)))
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setattr(extractor, "url", f"http://127.0.0.1:{server.server_port}/{weights.name}")
        monkeypatch.setattr(extractor, "own_sha256", sha256(weights))
        return asked

    yield publish
    for server in servers:
        server.shutdown()
        server.server_close()
