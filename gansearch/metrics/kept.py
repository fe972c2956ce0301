"""What was measured on real images once, kept in the cache for every later process."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

from safetensors import SafetensorError

from gansearch.cache import atomic_write, cache_dir
from gansearch.errors import one_line
from gansearch.lock import one_at_a_time
from gansearch.logs import warn_once

T = TypeVar("T")


def kept(
    name: str, what: str, read: Callable[[Path], T], compute: Callable[[], T], write: Callable[[T, Path], None]
) -> T:
    """What `read` makes of the cache's file `name`; where there is none, what `compute` gives, which is kept there.

    Two processes that start at once do the work once. A file that cannot be read is computed anew, a place that cannot
    be written is done without; either is said once.
    """
    path = cache_dir() / "reference" / name
    found = _read(path, what, read)
    if found is not None:
        return found
    with ExitStack() as stack:
        try:
            stack.enter_context(one_at_a_time(path.with_name(f".{name}.lock"), f"measuring the {what}"))
        except OSError as error:
            _say_not_kept(path, what, error)
            return compute()
        found = _read(path, what, read)  # another process may have been faster
        if found is not None:
            return found
        computed = compute()
        try:
            atomic_write(path, lambda file: write(computed, file))
        except OSError as error:
            _say_not_kept(path, what, error)
        return computed


def _read(path: Path, what: str, read: Callable[[Path], T]) -> T | None:
    try:
        return read(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        warn_once(f"{path}: unreadable ({one_line(error)}), {what}: measured anew")
        return None


def _say_not_kept(path: Path, what: str, error: OSError) -> None:
    warn_once(f"{path.parent}: {what}: not kept ({error.strerror or one_line(error)})")
