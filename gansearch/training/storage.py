"""Where a trial's files lie: a folder on a disk, or a prefix of an object store. Every file appears whole."""

import os
import uuid
from pathlib import Path

from pyarrow import fs as arrow

from gansearch.errors import UserError, one_line


class Storage:
    """The files below a path, or below a URI such as `s3://bucket/prefix/NAME/0007`; their names are relative to it."""

    def __init__(self, root: str) -> None:
        """Touches nothing; UserError where `root` is neither."""
        self._fs, self._path = open_storage(root)

    def write(self, name: str, content: bytes) -> None:
        """Writes a file, over the one of that name where there is one; a reader sees either of them whole."""
        path = f"{self._path}/{name}"
        if isinstance(self._fs, arrow.LocalFileSystem):
            _replace(Path(path), content)
        else:
            with self._fs.open_output_stream(path) as stream:
                stream.write(content)

    def read(self, name: str) -> bytes:
        """A file's content; FileNotFoundError where there is none."""
        with self._fs.open_input_stream(f"{self._path}/{name}") as stream:
            return stream.read()

    def names(self, folder: str) -> list[str]:
        """The names of a folder's files, sorted, without those that are being written; none where it is not there."""
        selector = arrow.FileSelector(f"{self._path}/{folder}", allow_not_found=True)
        names = [info.base_name for info in self._fs.get_file_info(selector) if info.is_file]
        return sorted(f"{folder}/{name}" for name in names if not name.startswith("."))


def open_storage(root: str) -> tuple[arrow.FileSystem, str]:
    """The file system behind a path or URI, and the path within it; UserError for what is neither."""
    if "://" not in root:
        return arrow.LocalFileSystem(), str(Path(root).absolute())
    try:
        return arrow.FileSystem.from_uri(root)
    except (ValueError, OSError) as error:
        raise UserError(f"storage {root}: {one_line(error)}; give a path or s3://bucket/prefix") from None


def write_synced(path: Path, content: bytes) -> None:
    """Writes a file of a local disk; it is on the disk when this returns."""
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Nothing of the name: TensorBoard reads whatever has `tfevents` in it.
    staging = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        write_synced(staging, content)
        staging.replace(path)
    finally:
        staging.unlink(missing_ok=True)
