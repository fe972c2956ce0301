"""Refuses a run whose own files are links to elsewhere: a run may come from anybody, and commands write into it."""

import os
from collections.abc import Iterator
from pathlib import Path

from gansearch.errors import UserError
from gansearch.run.paths import RunDir


def require_no_links(run: RunDir, *, trials: bool = False) -> None:
    """Refuses a run in which a symbolic link leads out of its folder. The folder itself may be a link.

    What lies deeper than is looked here is written under another name and renamed, which replaces a link.

    Args:
        run: The run, which need not exist yet.
        trials: Looks into the folders of the trials too, as is needed before any is trained.

    Raises:
        UserError: There is such a link.
    """
    home = Path(os.path.realpath(run.path))
    for link in _links(str(run.path), 2 if trials else 1):
        if not Path(os.path.realpath(link)).is_relative_to(home):
            raise UserError(
                f"{link} is a link out of the run, and nothing is written there: remove it, or put what it leads to "
                "in its place"
            )


def _links(folder: str, depth: int) -> Iterator[str]:
    """Yields the links in a folder, and in the folders so many levels below. It is fast for many trials."""
    try:
        with os.scandir(folder) as entries:
            found = list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in found:
        if entry.is_symlink():
            yield entry.path
        elif depth and entry.is_dir():
            yield from _links(entry.path, depth - 1)
