"""What a perfect generator would score, computed once and kept beside the reference statistics."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from gansearch.cache import say_once
from gansearch.errors import one_line
from gansearch.metrics.reference import keep, reference_dir
from gansearch.results import Floor


def floor_key(reference: str, other: str) -> str:
    """A hash of the keys of what the floor lies between."""
    return hashlib.sha256(f"floor {reference} {other}".encode()).hexdigest()[:32]


def kept_floor(key: str, compute: Callable[[], Floor]) -> Floor:
    """The floor kept under `key` in the cache, else what `compute` gives.

    A file that cannot be read is computed anew, a place that cannot be written is done without; either is said once.
    """
    path = reference_dir() / f"{key}.json"
    kept = _read(path, key)
    if kept is not None:
        return kept
    floor = compute()
    text = json.dumps({"key": key, **asdict(floor)}, allow_nan=False)
    keep(path, lambda file: _write(file, text))
    return floor


def _write(path: Path, text: str) -> None:
    path.write_text(text)


def _read(path: Path, key: str) -> Floor | None:
    """What `path` keeps; None where there is no such file or it is broken."""
    try:
        content = json.loads(path.read_bytes())
        if content.pop("key") != key:
            raise ValueError("it belongs to other images or another extractor")
        return Floor(**content)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        say_once(f"{path}: an unreadable floor ({one_line(error)}) is computed anew")
        return None
