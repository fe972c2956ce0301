"""The storage of a trial's files: a folder on a disk, or a prefix of an object store. Every file appears complete."""

import os
import uuid
from contextlib import suppress
from pathlib import Path

from pyarrow import fs as arrow

from gansearch.errors import UserError, one_line


class Storage:
    """The files below `root`: a path, or a URI such as `s3://bucket/prefix/NAME/0007`. Names are relative to `root`."""

    def __init__(self, root: str) -> None:
        """Does not touch the storage. Raises UserError where `root` is neither a path nor a known URI."""
        self._fs, self._path = open_storage(root)

    def write(self, name: str, content: bytes) -> None:
        """Writes or replaces a file; a reader sees the old content or the new, never a part."""
        path = f"{self._path}/{name}"
        if isinstance(self._fs, arrow.LocalFileSystem):
            _replace(Path(path), content)
        else:
            with self._fs.open_output_stream(path) as stream:
                stream.write(content)

    def read(self, name: str) -> bytes:
        """Returns the content of a file; FileNotFoundError where there is none."""
        with self._fs.open_input_stream(f"{self._path}/{name}") as stream:
            return stream.read()

    def remove(self, name: str) -> None:
        """Removes a file, if there is one."""
        with suppress(FileNotFoundError):
            self._fs.delete_file(f"{self._path}/{name}")

    def names(self, folder: str) -> list[str]:
        """Returns the sorted names of the complete files in a folder; none where the folder is missing."""
        selector = arrow.FileSelector(f"{self._path}/{folder}", allow_not_found=True)
        names = [info.base_name for info in self._fs.get_file_info(selector) if info.is_file]
        return sorted(f"{folder}/{name}" for name in names if not name.startswith("."))


def open_storage(root: str) -> tuple[arrow.FileSystem, str]:
    """Returns the file system of a path or URI, and the path within; UserError where `root` is neither."""
    if "://" not in root:
        return arrow.LocalFileSystem(), str(Path(root).absolute())
    try:
        return arrow.FileSystem.from_uri(root)
    except (ValueError, OSError) as error:
        raise UserError(f"storage {root}: {one_line(error)}; give a path or s3://bucket/prefix") from None


def write_synced(path: Path, content: bytes) -> None:
    """Writes a file to a local disk and returns once the disk has it."""
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # The temporary name has no part of the final one, since TensorBoard reads every file with `tfevents` in its name.
    staging = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        write_synced(staging, content)
        staging.replace(path)
    finally:
        staging.unlink(missing_ok=True)
