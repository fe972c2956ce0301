"""A trial's checkpoints: one directory per evaluation, whole or absent, on a disk or an object store.

`checkpoint_000057600/` (images shown) holds `last.pt`, all that resuming needs, `best.safetensors`, the averaged
generator at its lowest FID so far, and `checkpoint.json`, which records the kimg and the FID of that generator. Only
the newest checkpoint remains. On a disk the directory appears by one rename. An object store has no rename, so
`checkpoint.json` is written last there, and a directory without that file does not count.
"""

import io
import json
import shutil
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pyarrow import fs as arrow
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import Tensor

from gansearch.errors import UserError, one_line
from gansearch.run.paths import ABOUT, BEST, CHECKPOINT_PREFIX, LAST, PROBE, checkpoint_name
from gansearch.training.storage import open_storage, write_synced

_READ_TRIES = 5


@dataclass(frozen=True, kw_only=True)
class About:
    """The content of `checkpoint.json`: the progress of a trial, its best FID, and what its networks are built from.

    Args:
        config: The configuration of the trial as JSON data, so that a checkpoint can be exported by itself.
        classes: The names of the classes; empty where the generator takes no labels.
    """

    config: dict[str, Any]
    images: int
    channels: int
    classes: Sequence[str]
    best_fid: float
    best_kimg: float


class CheckpointDir:
    """The folder of one trial's checkpoints: a path, or a URI such as `s3://bucket/prefix/NAME/0007`."""

    def __init__(self, root: str | Path) -> None:
        self.root = str(root)
        self._fs, self._path = open_storage(self.root)

    def save(self, last: dict[str, Any], best: dict[str, Tensor], about: About) -> None:
        """Writes a checkpoint, then removes older ones.

        Args:
            last: All that resuming needs, as `torch.load` with `weights_only` reads it.
            best: The weights of the averaged generator at its lowest FID.
            about: The progress of the trial.
        """
        buffer = io.BytesIO()
        torch.save(last, buffer)
        files = {
            LAST: buffer.getvalue(),
            BEST: save_safetensors(best),
            ABOUT: json.dumps(about.__dict__).encode(),
        }
        name = checkpoint_name(about.images)
        if isinstance(self._fs, arrow.LocalFileSystem):
            _write_directory(Path(self._path), name, files)
        else:
            for file, content in files.items():
                with self._fs.open_output_stream(f"{self._path}/{name}/{file}") as stream:
                    stream.write(content)
        for old in self._names():
            if old < name:
                with suppress(FileNotFoundError):  # a second writer of the same trial, about to end, was faster
                    self._fs.delete_dir(f"{self._path}/{old}")

    def is_empty(self) -> bool:
        """Returns whether the folder is missing, or empty but for a `probe`; UserError where it can't be read."""
        try:
            found = self._fs.get_file_info(arrow.FileSelector(self._path, allow_not_found=True))
            return all(info.base_name == PROBE for info in found)
        except OSError as error:
            raise self._unusable(error) from None

    def probe(self) -> None:
        """Writes and removes a file; UserError where that fails (no such bucket, no credentials)."""
        folder = f"{self._path}/{PROBE}"
        try:
            self._fs.create_dir(folder)
            with self._fs.open_output_stream(f"{folder}/{PROBE}") as stream:
                stream.write(b"probe")
            self._fs.delete_dir(folder)
            if not self._fs.get_file_info(arrow.FileSelector(self._path)):
                self._fs.delete_dir(self._path)
        except OSError as error:
            raise self._unusable(error) from None

    def _unusable(self, error: OSError) -> UserError:
        return UserError(f"can't use {self.root} ({one_line(error)}): fix that, or name another --storage")

    def newest(self) -> str | None:
        """Returns the path or key of the newest complete checkpoint, or None."""
        for name in reversed(self._names()):
            if name.startswith(CHECKPOINT_PREFIX) and self._fs.get_file_info(f"{self._path}/{name}/{ABOUT}").is_file:
                return f"{self._path}/{name}"
        return None

    def last(self, device: torch.device) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Returns what `save` got as `last`, on `device`, and the weights of the best generator, on the CPU.

        Raises:
            UserError: There is no checkpoint.
        """
        last, best = self._read(LAST, BEST)
        return torch.load(io.BytesIO(last), map_location=device, weights_only=True), load_safetensors(best)

    def best(self) -> tuple[dict[str, Tensor], About]:
        """Returns the weights of the averaged generator at its lowest FID, on the CPU, and the progress of the trial.

        Raises:
            UserError: There is no checkpoint.
        """
        best, about = self._read(BEST, ABOUT)
        return load_safetensors(best), About(**json.loads(about))

    def _read(self, *files: str) -> list[bytes]:
        """Returns files of the newest checkpoint, all of the same one while a running trial replaces it."""
        for _ in range(_READ_TRIES):
            newest = self.newest()
            if newest is None:
                break
            try:
                return [self._content(f"{newest}/{file}") for file in files]
            except FileNotFoundError:
                continue
        raise UserError(
            f"no checkpoint under {self.root}: it was removed, or the trial has not reached its first evaluation"
        )

    def _content(self, path: str) -> bytes:
        with self._fs.open_input_stream(path) as stream:
            return stream.read()

    def _names(self) -> list[str]:
        """Returns the names of all checkpoints, oldest first, after those that killed writers left unfinished."""
        selector = arrow.FileSelector(self._path, allow_not_found=True)
        names = [info.base_name for info in self._fs.get_file_info(selector)]
        return sorted(name for name in names if name.lstrip(".").startswith(CHECKPOINT_PREFIX))


def _write_directory(parent: Path, name: str, files: dict[str, bytes]) -> None:
    """Writes `parent/name` so that it appears complete; the same checkpoint from another process is not replaced."""
    staging = parent / f".{name}.{uuid.uuid4().hex[:8]}"
    staging.mkdir(parents=True)
    try:
        for file, content in files.items():
            write_synced(staging / file, content)
        try:
            staging.rename(parent / name)
        except OSError:
            if not (parent / name).is_dir():
                raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)
