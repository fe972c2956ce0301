"""The storage of a trial's files: a folder on a disk, or a prefix of an object store. Every file appears complete.

A storage that is away, as after a hiccup of the network, mostly comes back: what fails is tried again for a while.
"""

import errno
import logging
import os
import random
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from pyarrow import fs as arrow

from gansearch.errors import UserError, one_line
from gansearch.run.paths import PROBE, TOKEN

logger = logging.getLogger(__name__)

T = TypeVar("T")

PATIENCE = 600.0  # seconds for which an operation is tried again
# Errors of a disk on which no trial can write: the search has to end.
DISK_FULL = {errno.ENOSPC, errno.EDQUOT}
# What one node may not be allowed on a storage that others read and write.
FORBIDDEN = {errno.EROFS, errno.EACCES, errno.EPERM}
# All that no waiting mends. Errors of object stores have no number; credentials, for example, may be renewed.
_LASTING = (DISK_FULL | FORBIDDEN) | {
    errno.ENOENT,
    errno.EEXIST,
    errno.EISDIR,
    errno.ENOTDIR,
    errno.EINVAL,
    errno.EFBIG,
    errno.ELOOP,
    errno.ENAMETOOLONG,
}
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0  # seconds
_jitter = random.Random()  # the trials of a cluster must not come back all at once, nor change another random state


class StorageError(OSError):
    """The storage was away for longer than it is waited for. No trial is to blame."""


class Storage:
    """The files below `root`: a path, or a URI such as `s3://bucket/prefix/NAME/0007`. Names are relative to `root`.

    Args:
        root: The path or URI.
        patience: For how many seconds an operation that fails is tried again, with growing pauses; None for `PATIENCE`.
            Lasting errors are raised at once: a missing file, a full disk, a lack of rights.

    Raises:
        UserError: `root` is neither a path nor a known URI. The storage itself is not touched yet.
        StorageError: Raised by the methods, where an operation still fails in the end.
    """

    def __init__(self, root: str, patience: float | None = None) -> None:
        self.root = root
        self._patience = PATIENCE if patience is None else patience
        self._fs, self._path = _opened(root)
        self._is_local = isinstance(self._fs, arrow.LocalFileSystem)

    def write(self, name: str, content: bytes) -> None:
        """Writes or replaces a file; a reader sees the old content or the new, never a part."""
        self._patiently(lambda: self._write(f"{self._path}/{name}", content))

    def read(self, name: str) -> bytes:
        """Returns the content of a file; FileNotFoundError where there is none."""
        return self._patiently(lambda: self._read(f"{self._path}/{name}"))

    def names(self, folder: str) -> list[str]:
        """Returns the sorted names of the complete files in a folder; none where the folder is missing."""
        names = [info.base_name for info in self._infos(f"{self._path}/{folder}") if info.is_file]
        return sorted(f"{folder}/{name}" for name in names if not name.startswith("."))

    def folders(self) -> list[str]:
        """Returns the names of the folders; none where `root` is missing."""
        return [info.base_name for info in self._infos(self._path) if info.type == arrow.FileType.Directory]

    def remove(self, name: str) -> None:
        """Removes a file, if it is there."""
        with suppress(FileNotFoundError):
            self._patiently(lambda: self._fs.delete_file(f"{self._path}/{name}"))

    def delete(self, folder: str) -> None:
        """Deletes a folder with all that is in it, if it is there."""
        with suppress(FileNotFoundError):  # a second writer of the same trial, about to end, may be faster
            self._patiently(lambda: self._fs.delete_dir(f"{self._path}/{folder}"))

    def is_empty(self) -> bool:
        """Returns whether `root` is missing, or has what a killed start leaves; UserError where it can't be read."""
        try:
            infos = self._fs.get_file_info(arrow.FileSelector(self._path, allow_not_found=True))
            return all(info.base_name in {PROBE, TOKEN} for info in infos)
        except OSError as error:
            raise self._unusable(error) from None

    def probe(self) -> None:
        """Writes and removes a file; UserError where that fails (no such bucket, no credentials), at once."""
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

    def _infos(self, path: str) -> list[arrow.FileInfo]:
        return self._patiently(lambda: self._fs.get_file_info(arrow.FileSelector(path, allow_not_found=True)))

    def _write(self, path: str, content: bytes) -> None:
        if self._is_local:
            _replace(Path(path), content)
        else:
            with self._fs.open_output_stream(path) as stream:
                stream.write(content)

    def _read(self, path: str) -> bytes:
        if self._is_local:
            return Path(path).read_bytes()
        with self._fs.open_input_stream(path) as stream:
            return stream.read()

    def _patiently(self, operation: Callable[[], T]) -> T:
        deadline, longest = time.monotonic() + self._patience, _FIRST_PAUSE
        while True:
            try:
                return operation()
            except OSError as error:
                if error.errno in _LASTING:
                    raise
                left = deadline - time.monotonic()
                if left <= 0:
                    raise StorageError(f"{self.root}: {one_line(error)}") from error
                pause = min(left, longest * _jitter.uniform(0.5, 1))
                logger.warning("%s: %s; trying again in %.1f s", self.root, one_line(error), pause)
            time.sleep(pause)
            longest = min(2 * longest, _LONGEST_PAUSE)


def _opened(root: str) -> tuple[arrow.FileSystem, str]:
    """Returns the file system of a path or URI, and the path within; UserError where `root` is neither."""
    if "://" not in root:
        return arrow.LocalFileSystem(), str(Path(root).absolute())
    try:
        return arrow.FileSystem.from_uri(root)
    except (ValueError, OSError) as error:
        raise UserError(f"storage {root}: {one_line(error)}; give a path or s3://bucket/prefix") from None


def _replace(path: Path, content: bytes) -> None:
    """Writes a file to a disk; returns once the disk has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The temporary name has no part of the final one, since TensorBoard reads every file with `tfevents` in its name.
    staging = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        with staging.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        staging.replace(path)
    finally:
        staging.unlink(missing_ok=True)
