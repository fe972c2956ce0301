"""Extractors whose weights others publish: a file of known hash, downloaded once per node."""

import http.client
import io
from abc import ABC
from pathlib import Path
from typing import Any, ClassVar

import torch

from gansearch.cache import atomic_write, cache_dir, sha256
from gansearch.errors import UserError, one_line
from gansearch.lock import one_at_a_time
from gansearch.logs import warn_once
from gansearch.metrics.extractors.from_file import FromFile
from gansearch.registry import component


@component
class Published(FromFile, ABC):
    """An extractor of torch-fidelity's, whose own weights lie at `url`."""

    url: ClassVar[str]
    mib: ClassVar[int]
    """Size of the file."""

    def own_weights(self) -> Path:
        """The file in the cache; downloaded if it is not there or is damaged, by one process at a time."""
        path = self._place()
        if self._sound(path):
            return path
        try:
            with one_at_a_time(path.with_name(f".{path.name}.lock"), f"the download of {path.name}"):
                if not self._sound(path):
                    if path.is_file():
                        warn_once(f"{path} is damaged: it is downloaded anew")
                    atomic_write(path, self._download)
        except (OSError, RuntimeError, http.client.HTTPException) as error:
            raise UserError(
                f"the weights of {self.name} cannot be downloaded to {path.parent} ({one_line(error)}): fetch "
                f"{self.url} elsewhere and give it with --set metrics.weights=FILE"
            ) from error
        return path

    def missing(self) -> str | None:
        if self.weights is None and not self._sound(self._place()):
            return f"the weights of {self.name} are not in {self._place().parent}: {self.mib} MiB from {self.url}"
        return super().missing()

    def readable_weights(self, path: Path) -> Any:
        # torch-fidelity unpickles whatever it is given; so give it bytes that were written here.
        buffer = io.BytesIO()
        torch.save(torch.load(path, map_location="cpu", weights_only=True), buffer)
        buffer.seek(0)
        return buffer

    def _place(self) -> Path:
        return cache_dir() / "weights" / self.url.rpartition("/")[2]

    def _sound(self, path: Path) -> bool:
        return path.is_file() and sha256(path) == self.own_sha256

    def _download(self, path: Path) -> None:
        torch.hub.download_url_to_file(self.url, str(path), hash_prefix=self.own_sha256)
