"""A local server with small archives in place of the real ones."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.data.archives import Served, apply, serving


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """CIFAR-10 and Fashion-MNIST from a local server; Debian's package counts as not installed."""
    with serving(tmp_path / "served") as server:
        apply(server.settings, monkeypatch)
        yield server
