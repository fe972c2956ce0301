"""Decoded images on disk: one memory-mapped array per list of files and size, made once, shared by all processes.

`cache_dir()/images/SOURCE/KEY.npy` and, written last, `KEY.json`. SOURCE is a folder's path, split and options; KEY
follows the files' names, sizes and times, so that a second start reads no image. A file replaced by one of the same
name, size and time goes unnoticed: `touch` it.
"""

import hashlib
import json
import os
import re
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import PIL
import torch
from pydantic import BaseModel, Field
from torch import Tensor

from gansearch.cache import atomic_write, cache_dir
from gansearch.data.base import RESIZE_FILTER, Images, Split
from gansearch.data.decode import UnusableError, squares
from gansearch.errors import UserError, one_line
from gansearch.lock import one_at_a_time
from gansearch.logs import log_duration, warn_once

_FORMAT = 1
_LEFT_STANDING = 2
_UNUSED_SECONDS = 24 * 3600


class File(NamedTuple):
    """A file by its path relative to its folder, with what tells that it has changed."""

    name: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Selection:
    """The `files` below `root` that make a split, their `labels` (len(files),) if any, and how they are decoded."""

    root: Path
    split: Split
    files: list[File]
    labels: Tensor | None
    classes: tuple[str, ...]
    resolution: int
    skip_broken: bool
    test_share: float

    @cached_property
    def place(self) -> Path:
        """The kept array's path. Reads no file."""
        root = os.path.realpath(self.root)
        source = {
            # Archives unpack with constant times: the same names, sizes and times elsewhere can be other images.
            "root": os.fsencode(root).hex(),
            "split": self.split,
            "resolution": self.resolution,
            "skip_broken": self.skip_broken,
            "test_share": self.test_share,
        }
        content = {
            "format": _FORMAT,
            "resize": RESIZE_FILTER,
            "pillow": PIL.__version__,
            "classes": self.classes,
            "files": self.files,
        }
        name = re.sub(r"[^A-Za-z0-9._-]", "_", f"{Path(root).name[:40]}-{self.resolution}-{self.split}")
        folder = cache_dir() / "images" / f"{name}-{_hash(source)[:12]}"
        return folder / f"{_hash({**source, **content})[:32]}.npy"


class _Record(BaseModel):
    """What lies beside an array: its fingerprint, and the numbers of the files that gave no row, with the reasons."""

    fingerprint: str = Field(pattern="^[0-9a-f]{64}$")
    skipped: dict[int, str]


def images(selection: Selection) -> Images:
    """The decoded images of a selection, mapped from the cache; decoded and kept there at the first call.

    Where the cache cannot be written they are decoded into memory, which is said once. UserError for a file that is
    no usable image, unless such files are skipped, and where no image is left.
    """
    found = _find(selection)
    if found is not None:
        return found
    place = selection.place
    try:
        with one_at_a_time(place.with_name(".lock"), f"the decoding of {selection.root}"):
            found = _find(selection)  # another process may have been faster
            return _make(selection) if found is None else found
    except OSError as error:
        warn_once(
            f"{place.parent}: decoded images cannot be kept ({one_line(error)}), every process decodes them into its "
            "own memory; name a place for them with GANSEARCH_CACHE"
        )
    pixels = np.empty((len(selection.files), *_row(selection)), np.uint8)
    rows = iter(pixels)
    skipped = _decode(selection, lambda square: np.copyto(next(rows), square))
    return _images(selection, pixels[: len(pixels) - len(skipped)], skipped)


def _find(selection: Selection) -> Images | None:
    """The images as they are kept; None where they are not, or no longer whole."""
    place, beside = selection.place, selection.place.with_suffix(".json")
    try:
        record = _Record.model_validate_json(beside.read_bytes())
        # "c": pages are shared with all who map the file; a process that writes gets its own copy of a page, and the
        # file stays as it is. Read-only memory, which torch cannot express, would end such a process.
        pixels = np.load(place, mmap_mode="c")
        rows = len(selection.files) - len(record.skipped)
        if pixels.dtype != np.uint8 or pixels.shape != (rows, *_row(selection)):
            raise ValueError(f"{pixels.dtype} {pixels.shape}, not uint8 of {rows} images")
        if not record.skipped.keys() <= set(range(len(selection.files))):
            raise ValueError("its record is of other files")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, EOFError, ValueError) as error:
        warn_once(f"{place}: unreadable decoded images ({one_line(error)}) are made anew")
        return None
    with suppress(OSError):  # somebody else's cache: then its owner's use counts
        os.utime(beside)
    return _images(selection, pixels, record.skipped, record.fingerprint)


def _make(selection: Selection) -> Images:
    """Decodes into a file, then writes the record. OSError where there is no room or no right."""
    _tidy(selection.place.parent)
    skipped: dict[int, str] = {}

    def write(path: Path) -> None:
        # Through a file, not through the mapping: on a full disk that raises OSError instead of killing the process.
        with path.open("w+b") as file:
            _head(file, selection, len(selection.files))
            skipped.update(_decode(selection, lambda square: file.write(square.data)))
            file.seek(0)
            _head(file, selection, len(selection.files) - len(skipped))
            file.flush()
            os.fsync(file.fileno())

    atomic_write(selection.place, write)
    pixels = np.load(selection.place, mmap_mode="c")
    made = _images(selection, pixels, skipped)
    record = _Record(fingerprint=made.fingerprint, skipped=skipped).model_dump_json()

    def describe(path: Path) -> None:
        path.write_text(record)

    atomic_write(selection.place.with_suffix(".json"), describe)
    return made


def _head(file: BinaryIO, selection: Selection, rows: int) -> None:
    """The head of an .npy file. NumPy pads it so that it keeps its length when the number of rows changes."""
    head: dict[str, Any] = {"descr": "|u1", "fortran_order": False, "shape": (rows, *_row(selection))}
    np.lib.format.write_array_header_1_0(file, head)


def _row(selection: Selection) -> tuple[int, int, int]:
    return 3, selection.resolution, selection.resolution


def _decode(selection: Selection, put: Callable[[np.ndarray], object]) -> dict[int, str]:
    """Gives every usable image to `put`, in order; the numbers of the others and why, if they may be skipped."""
    paths = [selection.root / file.name for file in selection.files]
    skipped: dict[int, str] = {}
    with closing(squares(paths, selection.resolution)) as decoded:
        slow = log_duration(decoded, f"decoding {len(paths):,} images of {selection.root}", total=len(paths))
        for number, square in enumerate(slow):
            if not isinstance(square, UnusableError):
                put(square.numpy())
            elif selection.skip_broken:
                skipped[number] = str(square)
            else:
                raise UserError(
                    f"{paths[number]} is no usable image ({square}): mend it, move it away, or leave such files out "
                    "with --set data.skip_broken=true"
                ) from square
    if len(skipped) == len(paths):
        raise UserError(f"{selection.root} holds no usable image: {paths[0]} and all others are broken ({skipped[0]})")
    return skipped


def _images(
    selection: Selection, pixels: np.ndarray, skipped: dict[int, str], fingerprint: str | None = None
) -> Images:
    labels = selection.labels
    if skipped:
        some = "; ".join(f"{selection.files[number].name} ({reason})" for number, reason in list(skipped.items())[:3])
        more = ", ..." if len(skipped) > 3 else ""
        warn_once(f"{selection.root}: {len(skipped)} unusable files are left out: {some}{more}")
        if labels is not None:
            kept = torch.ones(len(labels), dtype=torch.bool)
            kept[list(skipped)] = False
            labels = labels[kept]
    return Images(torch.from_numpy(pixels), labels, selection.classes, fingerprint)


def _tidy(folder: Path) -> None:
    """Removes what a killed process left, and arrays of earlier contents of the same source.

    The two used last stay, and all that were used within a day: on a network file system a search on another machine
    may still map one, and would end if it went. Elsewhere a mapped file outlives its name.
    """
    for cut in folder.glob(".*.npy.*"):
        cut.unlink(missing_ok=True)
    records = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    for record in records[_LEFT_STANDING - 1 :]:  # the one to come makes up the number
        if time.time() - record.stat().st_mtime > _UNUSED_SECONDS:
            record.unlink(missing_ok=True)
            record.with_suffix(".npy").unlink(missing_ok=True)


def _hash(parts: dict[str, Any]) -> str:
    # JSON writes names that are not UTF-8 as escapes, so that they can be hashed too.
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
