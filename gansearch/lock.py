"""One process of a node at a time does what the others would only do again."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from gansearch.logs import warn_once


@contextmanager
def one_at_a_time(path: Path, what: str) -> Iterator[None]:
    """Holds the lock file `path`; says where it has to wait for another process that does `what`.

    Makes the parent folders. Raises OSError where the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, mode=0o666)  # a cache may be shared
    try:
        lock.acquire(blocking=False)
    except Timeout:
        warn_once(f"waiting for another process: {what}")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
