"""Extractors whose weights others publish: a file with a known hash, downloaded once per machine."""

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
    """An extractor of torch-fidelity's registry whose own weights are the file at `url`."""

    url: ClassVar[str]
    mib: ClassVar[int]
    """The size of the file in MiB."""

    def own_weights(self) -> Path:
        """Returns the file in the cache; downloads it, in one process at a time, if it is missing or damaged."""
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
                f"the weights of {self.name} cannot be downloaded to {path.parent} ({one_line(error)}): download "
                f"{self.url} elsewhere and give the file with --set metrics.weights=FILE"
            ) from error

    def missing(self) -> str | None:
        if self.weights is None and not self._is_whole(self._cached_file()):
            return f"the weights of {self.name} are not in {self._cached_file().parent}: {self.mib} MiB from {self.url}"
        return super().missing()

    def readable_weights(self, path: Path) -> Any:
        # torch-fidelity unpickles any file, which can run code; bytes that were written here cannot.
        buffer = io.BytesIO()
        torch.save(torch.load(path, map_location="cpu", weights_only=True), buffer)
        buffer.seek(0)
        return buffer

    def _cached_file(self) -> Path:
        return cache_dir() / "weights" / self.url.rpartition("/")[2]

    def _is_whole(self, path: Path) -> bool:
        return path.is_file() and sha256(path) == self.own_sha256
