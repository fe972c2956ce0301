"""What is kept between runs: where it lies, how it is written, how it is checked. No torch."""

import hashlib
import os
import uuid
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path


def cache_dir() -> Path:
    """`$GANSEARCH_CACHE`, else `$XDG_CACHE_HOME/gansearch`, else `~/.cache/gansearch`. Not created here."""
    own = os.environ.get("GANSEARCH_CACHE")
    if own:
        return Path(own).expanduser()
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "gansearch"


def atomic_write(path: Path, write: Callable[[Path], object]) -> None:
    """Lets `write` fill a temporary file beside `path` and renames it: a reader sees a whole file or none.

    Makes the parent folders. Raises OSError where the place cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not tempfile's: its files are for their owner alone, and a cache may be shared.
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}")
    try:
        write(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes; hashed again only when its size or time has changed. OSError if unreadable."""
    state = path.stat()
    return _sha256(path.resolve(), state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=1024)
def _sha256(path: Path, size: int, time: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
