"""`inception-v3-compat`: torch-fidelity's Inception v3, bit-compatible with the network of the FID paper."""

import http.client
import io
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

from gansearch.cache import atomic_write, cache_dir
from gansearch.data.lock import one_at_a_time
from gansearch.errors import UserError, one_line
from gansearch.metrics.extractors.base import Extractor
from gansearch.registry import component

URL = URL_INCEPTION_V3


@component
class InceptionV3Compat(Extractor):
    """The 2,048 features after the last pooling: what published FIDs are measured with. Wants a GPU."""

    name: ClassVar[str] = "inception-v3-compat"
    feature_name: ClassVar[str] = "2048"
    own_sha256: ClassVar[str] = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"

    def own_weights(self) -> Path:
        """The file in the cache; downloaded (91 MiB) if it is not there, by one process at a time."""
        path = cache_dir() / "weights" / URL.rpartition("/")[2]
        if path.is_file():
            return path
        try:
            with one_at_a_time(path.with_name(f".{path.name}.lock"), f"the download of {path.name}"):
                if not path.is_file():
                    atomic_write(path, self._download)
        except (OSError, RuntimeError, http.client.HTTPException) as error:
            raise UserError(
                f"the weights of {self.name} cannot be downloaded to {path.parent} ({one_line(error)}): fetch {URL} "
                "elsewhere and give it with --set metrics.weights=FILE"
            ) from error
        return path

    def readable_weights(self, path: Path) -> Any:
        # torch-fidelity unpickles whatever it is given; so give it bytes that were written here.
        buffer = io.BytesIO()
        torch.save(torch.load(path, map_location="cpu", weights_only=True), buffer)
        buffer.seek(0)
        return buffer

    def _download(self, path: Path) -> None:
        torch.hub.download_url_to_file(URL, str(path), hash_prefix=self.own_sha256)
