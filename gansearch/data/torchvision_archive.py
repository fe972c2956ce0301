"""Data sets that torchvision can download: opened where they lie, else downloaded there once, MD5 checked."""

import http.client
import sys
import tarfile
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from gansearch.cache import cache_dir, make_once
from gansearch.data.base import Split
from gansearch.errors import UserError, one_line


def data_folder(dir: str | None) -> Path:
    """Returns the folder where a data set lies or is downloaded to: `dir`, by default `data` in the cache."""
    return Path(dir).expanduser() if dir else cache_dir() / "data"


def open_or_download(
    kind: Any,
    root: Path,
    split: Split,
    *,
    name: str,
    url: str,
    files: Sequence[str],
    elsewhere: Callable[[], Any | None] = lambda: None,
) -> Any:
    """Opens torchvision's data set `kind` in `root`; where it is not whole there, downloads and unpacks it.

    Files that lie in `root` are unpacked and not downloaded. One process of a machine downloads, the others wait. A
    data set that is already there needs no right to write.

    Args:
        kind: The class of torchvision.
        root: The folder that torchvision calls `root`.
        split: The images to open.
        name: The data set's name, for messages.
        url: The address that `files` are downloaded from, for messages.
        files: The names of the files to download, for messages.
        elsewhere: Is asked before a download; returns an object with the attributes that the caller reads, or None.

    Raises:
        UserError: The data set cannot be downloaded, is damaged, or cannot be written to `root`.
    """

    def read() -> Any | None:
        try:
            return kind(root, train=split == "train")
        except RuntimeError:  # torchvision's error for files that are missing or have another MD5
            return elsewhere()

    def download() -> Any:
        with redirect_stdout(sys.stderr):
            return kind(root, train=split == "train", download=True)

    try:
        return make_once(root / name, what=f"the download of {name}", read=read, make=download)
    except (OSError, RuntimeError, EOFError, tarfile.TarError, http.client.HTTPException) as error:
        raise UserError(
            f"{name} is not in {root} and cannot be downloaded from {url} ({one_line(error)}); without a "
            f"network, put {', '.join(files)} into {root}, or name the folder of these files with --data-dir DIR"
        ) from error
