"""What torchvision can fetch: opened where it lies, else downloaded there once per node, MD5 checked."""

import http.client
import sys
import tarfile
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from gansearch.cache import cache_dir
from gansearch.data.base import Split
from gansearch.errors import UserError, one_line
from gansearch.lock import one_at_a_time


def root_of(dir: str | None) -> Path:
    """Where a data set lies or is downloaded to: its option `dir`, by default `data` in the cache."""
    return Path(dir).expanduser() if dir else cache_dir() / "data"


def opened(kind: Any, root: Path, split: Split) -> Any | None:
    """torchvision's data set `kind` as it lies in `root`; None where it is not whole there. Needs no right to write."""
    try:
        return kind(root, train=split == "train")
    except RuntimeError:
        return None


def downloaded(kind: Any, root: Path, split: Split, *, name: str, url: str, files: Sequence[str]) -> Any:
    """Fetches and unpacks the `files` of `url`, or unpacks those that lie in `root`; MD5 is checked.

    One process at a time: those that waited find all of it there. UserError where nothing can be had or written.
    """
    try:
        with one_at_a_time(root / f".{name}.lock", f"the download of {name}"), redirect_stdout(sys.stderr):
            return kind(root, train=split == "train", download=True)
    except (OSError, RuntimeError, EOFError, tarfile.TarError, http.client.HTTPException) as error:
        raise UserError(
            f"{name} is not in {root} and cannot be downloaded from {url} ({one_line(error)}); without a "
            f"network, put {', '.join(files)} into {root}, or name its folder with --data-dir DIR"
        ) from error
