"""Decoded images on disk: one memory-mapped array per list of files and size, shared by all processes.

The array is `cache_dir()/images/SOURCE/KEY.npy`. `KEY.json` beside it is written last, so an array without it does not
count. SOURCE depends on a folder's path, split and options; KEY depends on the files' names, sizes and times as well,
so that a second start reads no image. A file that was replaced by one of the same name, size and time goes unnoticed:
`touch` it.
"""

import errno
import hashlib
import json
import math
import os
import re
import shutil
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

from gansearch.cache import atomic_write, cache_dir, make_once
from gansearch.data.base import RESIZE_FILTER, Images, Split, require_images
from gansearch.data.decode import UnusableError, squares
from gansearch.errors import UserError, one_line
from gansearch.logs import log_duration, warn_once

_FORMAT = 1
_MAX_ARRAYS = 2
_UNUSED_SECONDS = 24 * 3600


class File(NamedTuple):
    """A file: its path relative to its folder, and the size and time that show that it has changed."""

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
    def array_path(self) -> Path:
        """The path of the array in the cache; follows from names, sizes and times, without reading a file."""
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

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return 3, self.resolution, self.resolution


class _Record(BaseModel):
    """The content of `KEY.json`: the fingerprint, and the numbers of the files without a row, each with the reason."""

    fingerprint: str = Field(pattern="^[0-9a-f]{64}$")
    skipped: dict[int, str]


def load_decoded(selection: Selection) -> Images:
    """Maps the decoded images of a selection from the cache; the first call decodes them into the cache.

    Where the cache cannot be written, the images are decoded into memory, with a warning.

    Raises:
        UserError: A file is not a usable image and `skip_broken` is off, no usable image is left, or all together do
            not fit the memory.
    """
    folder = selection.array_path.parent
    try:
        return make_once(
            folder,
            what=f"the decoding of {selection.root}",
            read=lambda: _read(selection),
            make=lambda: _write(selection),
        )
    except OSError as error:
        warn_once(
            f"decoded images cannot be cached in {folder} ({one_line(error)}), every process decodes them into its "
            "own memory; name another folder for the cache with GANSEARCH_CACHE"
        )
    require_images(len(selection.files), 3, selection.resolution)
    pixels = np.empty((len(selection.files), *selection.image_shape), np.uint8)
    rows = iter(pixels)
    skipped = _decode(selection, lambda square: np.copyto(next(rows), square))
    return _images(selection, pixels[: len(pixels) - len(skipped)], skipped)


def _read(selection: Selection) -> Images:
    """Maps the array in the cache; FileNotFoundError where there is none, another error where it is damaged."""
    record_path = selection.array_path.with_suffix(".json")
    record = _Record.model_validate_json(record_path.read_bytes())
    # Mode "c" shares the pages with all processes that map the file; a process that writes gets a copy of the page, and
    # the file does not change. With read-only memory, which torch cannot express, such a process would crash.
    pixels = np.load(selection.array_path, mmap_mode="c")
    rows = len(selection.files) - len(record.skipped)
    if pixels.dtype != np.uint8 or pixels.shape != (rows, *selection.image_shape):
        raise ValueError(f"{pixels.dtype} {pixels.shape}, not uint8 of {rows} images")
    if not record.skipped.keys() <= set(range(len(selection.files))):
        raise ValueError(f"{record_path.name} belongs to other files")
    with suppress(OSError):  # in another user's cache the time of use cannot be set
        os.utime(record_path)
    return _images(selection, pixels, record.skipped, record.fingerprint)


def _write(selection: Selection) -> Images:
    """Decodes into the array, then writes the record.

    Raises:
        OSError: The cache has no room for the array, or cannot be written.
        UserError: As for `load_decoded`.
    """
    require_images(len(selection.files), 3, selection.resolution)
    _remove_old(selection.array_path.parent)
    skipped: dict[int, str] = {}

    def write(path: Path) -> None:
        if shutil.disk_usage(path.parent).free < len(selection.files) * math.prod(selection.image_shape):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path.parent))
        # Through a file, not through the mapping: on a full disk that raises OSError instead of killing the process.
        with path.open("w+b") as file:
            _write_header(file, selection, len(selection.files))
            skipped.update(_decode(selection, lambda square: file.write(square.data)))
            file.seek(0)
            _write_header(file, selection, len(selection.files) - len(skipped))
            file.flush()
            os.fsync(file.fileno())

    atomic_write(selection.array_path, write)
    images = _images(selection, np.load(selection.array_path, mmap_mode="c"), skipped)
    record = _Record(fingerprint=images.fingerprint, skipped=skipped).model_dump_json()
    atomic_write(selection.array_path.with_suffix(".json"), lambda path: path.write_text(record))
    return images


def _write_header(file: BinaryIO, selection: Selection, rows: int) -> None:
    """Writes the header of an .npy file. NumPy pads it, so its length does not depend on the number of rows."""
    header: dict[str, Any] = {"descr": "|u1", "fortran_order": False, "shape": (rows, *selection.image_shape)}
    np.lib.format.write_array_header_1_0(file, header)


def _decode(selection: Selection, put: Callable[[np.ndarray], object]) -> dict[int, str]:
    """Gives every usable image to `put`, in order; returns the numbers of the skipped files, each with the reason."""
    paths = [selection.root / file.name for file in selection.files]
    skipped: dict[int, str] = {}
    with closing(squares(paths, selection.resolution)) as decoded:
        what = f"decoding {len(paths):,} images of {selection.root}"
        for number, square in enumerate(log_duration(decoded, what, total=len(paths))):
            if not isinstance(square, UnusableError):
                put(square.numpy())
            elif selection.skip_broken:
                skipped[number] = str(square)
            else:
                raise UserError(
                    f"{paths[number]} is not a usable image ({square}): fix it, move it away, or skip such files "
                    "with --set data.skip_broken=true"
                ) from square
    if len(skipped) == len(paths):
        raise UserError(
            f"{selection.root} holds no usable image: {paths[0]} and all others are broken ({skipped[0]}); put images "
            "into it"
        )
    return skipped


def _images(
    selection: Selection, pixels: np.ndarray, skipped: dict[int, str], fingerprint: str | None = None
) -> Images:
    labels = selection.labels
    if skipped:
        some = "; ".join(f"{selection.files[number].name} ({reason})" for number, reason in list(skipped.items())[:3])
        more = ", ..." if len(skipped) > 3 else ""
        warn_once(f"{selection.root}: {len(skipped)} unusable files are skipped: {some}{more}")
        if labels is not None:
            usable = torch.ones(len(labels), dtype=torch.bool)
            usable[list(skipped)] = False
            labels = labels[usable]
    return Images(torch.from_numpy(pixels), labels, selection.classes, fingerprint)


def _remove_old(folder: Path) -> None:
    """Removes the temporary files of killed processes, and arrays of earlier contents of the same source.

    The arrays that were used last stay, and all that were used within a day: on a network file system a search on
    another machine may still map one, and would crash without it. Elsewhere a mapped file outlives its name.
    """
    for temporary in folder.glob(".*.npy.*"):
        temporary.unlink(missing_ok=True)
    records = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    for record in records[_MAX_ARRAYS - 1 :]:  # the array that is written next is one of _MAX_ARRAYS
        if time.time() - record.stat().st_mtime > _UNUSED_SECONDS:
            record.unlink(missing_ok=True)
            record.with_suffix(".npy").unlink(missing_ok=True)


def _hash(parts: dict[str, Any]) -> str:
    # JSON writes names that are not UTF-8 as escapes, so that they can be hashed too.
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
