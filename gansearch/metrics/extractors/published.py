"""Extractors whose weights others publish: a file of known hash, downloaded once per node."""

import http.client
import io
from abc import ABC
from pathlib import Path
from typing import Any, ClassVar

import torch

from gansearch.cache import atomic_write, cache_dir, make_once, sha256
from gansearch.errors import UserError, one_line
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
        path = self._cached_file()

        def download() -> Path:
            if path.is_file():
                warn_once(f"{path} is damaged: it is downloaded again")
            atomic_write(path, lambda file: torch.hub.download_url_to_file(self.url, str(file), self.own_sha256))
            return path

        try:
            return make_once(
                path,
                what=f"the download of {path.name}",
                read=lambda: path if self._is_whole(path) else None,
                make=download,
            )
        except (OSError, RuntimeError, http.client.HTTPException) as error:
            raise UserError(
                f"the weights of {self.name} cannot be downloaded to {path.parent} ({one_line(error)}): fetch "
                f"{self.url} elsewhere and give it with --set metrics.weights=FILE"
            ) from error

    def missing(self) -> str | None:
        if self.weights is None and not self._is_whole(self._cached_file()):
            return f"the weights of {self.name} are not in {self._cached_file().parent}: {self.mib} MiB from {self.url}"
        return super().missing()

    def readable_weights(self, path: Path) -> Any:
        # torch-fidelity unpickles whatever it is given; so give it bytes that were written here.
        buffer = io.BytesIO()
        torch.save(torch.load(path, map_location="cpu", weights_only=True), buffer)
        buffer.seek(0)
        return buffer

    def _cached_file(self) -> Path:
        return cache_dir() / "weights" / self.url.rpartition("/")[2]

    def _is_whole(self, path: Path) -> bool:
        return path.is_file() and sha256(path) == self.own_sha256
