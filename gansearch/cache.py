"""The cache: files that one process computes or downloads and that all later ones share. No torch."""

import errno
import functools
import hashlib
import os
import shutil
import stat
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

from gansearch.errors import UserError, one_line
from gansearch.logs import warn_once

T = TypeVar("T")

_LARGEST_TEXT = 2**24  # bytes


def cache_dir() -> Path:
    """Returns `$GANSEARCH_CACHE`, else `$XDG_CACHE_HOME/gansearch`, else `~/.cache/gansearch`; creates nothing."""
    own = os.environ.get("GANSEARCH_CACHE")
    if own:
        return Path(own).expanduser()
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "gansearch"


def read_small(path: Path) -> str:
    """Returns the text of a file that a person has written, in UTF-8.

    Raises:
        OSError: The file can't be read, is no regular file (a pipe would be read for ever), or is larger than 16 MiB.
        UnicodeDecodeError: The file is no text.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "is no regular file", str(path))
    if status.st_size > _LARGEST_TEXT:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return path.read_text(encoding="utf-8")


def make_once(path: Path, *, what: str, read: Callable[[], T | None], make: Callable[[], T]) -> T:
    """Returns what `read` finds; where `read` finds nothing, locks, reads again, and returns what `make` makes.

    Of several processes that start at once, one makes the result and the others wait and read it. What has been made
    needs no right to write.

    Args:
        path: The place of the result. The lock file lies beside it.
        what: The work, as messages name it: "the download of cifar10".
        read: Returns the result; returns None or raises FileNotFoundError where there is none. Any other error means
            that the result is damaged, so it is made again, with a warning.
        make: Makes the result, puts it where `read` finds it, and returns it.

    Raises:
        OSError: The lock file cannot be written. Errors of `make` pass through.
    """
    found = _read(path, what, read)
    if found is not None:
        return found
    with locked(path.with_name(f".{path.name}.lock"), what):
        found = _read(path, what, read)
        return make() if found is None else found


def _read(path: Path, what: str, read: Callable[[], T | None]) -> T | None:
    try:
        return read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except Exception as error:  # noqa: BLE001 -- each file format has errors of its own for a damaged file
        warn_once(f"{path} cannot be read ({one_line(error)}): {what} is repeated")
        return None


def compute_once(
    path: Path,
    *,
    what: str,
    read: Callable[[], T | None],
    compute: Callable[[], T],
    write: Callable[[T, Path], object],
) -> T:
    """Returns the result in the file `path`; computes and writes the result where there is none.

    Where the file cannot be written the result is returned all the same, with a warning.

    Args:
        path: The cached file.
        what: The work, as messages name it: "the measurement of the floor".
        read: Reads `path`; as for `make_once`.
        compute: Computes the result. An error that it raises passes through.
        write: Writes a result to the path that it is given.
    """
    computed = functools.cache(compute)

    def make() -> T:
        atomic_write(path, lambda file: write(computed(), file))
        return computed()

    try:
        return make_once(path, what=what, read=read, make=make)
    except OSError as error:
        result = computed()  # first, so that an OSError of `compute` is not mistaken for one of the cache
        warn_once(f"{what} cannot be cached in {path.parent} ({error.strerror or one_line(error)})")
        return result


@contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Holds the lock file `path`; where another process holds it, warns that `what` has to wait.

    Makes the parent folders. Raises OSError where the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # All users may lock: a cache can be shared. filelock sets this mode on the file past the umask.
    lock = FileLock(path, mode=0o666)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        warn_once(f"waiting for another process: {what}")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def save_text(path: Path, text: str) -> None:
    """Writes a text to a file, whole or not at all. Raises UserError where the file can't be written."""
    try:
        atomic_write(path, lambda staging: staging.write_text(text))
    except OSError as error:
        raise UserError(f"can't write {path} ({one_line(error)}): fix that first") from None


def atomic_write(path: Path, write: Callable[[Path], object]) -> None:
    """Lets `write` fill a temporary file beside `path` and renames it: a reader sees a whole file or none.

    Makes the parent folders. Raises OSError where the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_file():  # a device or a pipe must not be replaced
        write(path)
        return
    # Not a file of `tempfile`: only its owner may read that, and a cache can be shared.
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}")
    try:
        write(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def without_empty_folders(*folders: Path) -> Iterator[None]:
    """Removes at the end of the block what it has made of these folders and their parents, where nothing lies in it."""
    made = {one for folder in folders for one in (folder, *folder.parents) if not one.exists()}
    try:
        yield
    finally:
        for one in sorted(made, reverse=True):  # the deeper ones first
            with suppress(OSError):  # has files by now, or was not made
                one.rmdir()


def write_together(folder: Path, files: Mapping[str, bytes]) -> None:
    """Writes files into a folder, all of them or none. Makes the folder, and removes it again where that is in vain.

    Raises OSError where a file cannot be written.
    """
    staging = folder / f".{uuid.uuid4().hex[:12]}"
    with without_empty_folders(folder):
        try:
            staging.mkdir(parents=True)
            for name, content in files.items():
                (staging / name).write_bytes(content)
            for name in files:
                (staging / name).replace(folder / name)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def sha256(path: Path) -> str:
    """Returns the SHA-256 of a file's bytes; hashes again only where the file's size or time has changed.

    Raises OSError where the file cannot be read.
    """
    state = path.stat()
    return _sha256(path.resolve(), state.st_size, state.st_mtime_ns)


@functools.lru_cache(maxsize=1024)
def _sha256(path: Path, size: int, time: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
