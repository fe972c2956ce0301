"""Image files to square RGB images of 8 bits and one size; files of a mode that has no such form are refused."""

import os
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFile, ImageOps
from torch import Tensor

from gansearch.data.base import resize
from gansearch.errors import one_line

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")

_AT_ONCE = 256


class UnusableError(Exception):
    """A file that is not a usable image; the message is the reason, without the path."""


def squares(paths: Sequence[Path], resolution: int) -> Generator[Tensor | UnusableError, None, None]:
    """Decodes files in threads, a few at a time, so that they never fill the memory.

    Yields:
        For each path, in order: uint8 (3, resolution, resolution), or the reason why the file is not usable.
    """
    # Other libraries turn this switch on for the whole process: the rest of a truncated file would become grey.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    remaining = iter(paths)
    with ThreadPoolExecutor(max_workers=min(16, _available_cores())) as pool:
        while some := list(islice(remaining, _AT_ONCE)):
            yield from pool.map(lambda path: _try(path, resolution), some)


def _available_cores() -> int:
    """Returns the number of cores that this process may use: a cluster's scheduler often grants only some."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _try(path: Path, resolution: int) -> Tensor | UnusableError:
    try:
        return square(path, resolution)
    except UnusableError as unusable:
        return unusable


def square(path: Path, resolution: int) -> Tensor:
    """Decodes one file to uint8 (3, resolution, resolution): centre crop to a square, then `base.resize`.

    The image is turned according to its EXIF data; of an animation the first frame is taken. Raises UnusableError
    where the file is not a usable image.
    """
    try:
        with Image.open(path, formats=FORMATS) as file:
            image = _rgb(ImageOps.exif_transpose(file))
    except Image.UnidentifiedImageError:
        raise UnusableError(f"none of {', '.join(FORMATS)}") from None
    # Some of Pillow's readers raise SyntaxError for a broken file.
    except (OSError, ValueError, EOFError, SyntaxError, Image.DecompressionBombError) as error:
        raise UnusableError(one_line(error)) from error
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    pixels = np.array(image.crop((left, top, left + side, top + side)))
    return resize(torch.from_numpy(pixels).permute(2, 0, 1)[None], resolution)[0].contiguous()


def _rgb(image: Image.Image) -> Image.Image:
    """Converts an image to RGB of 8 bits: transparency becomes white, grey of 16 bits is rounded.

    Of colours of 16 bits Pillow itself takes the upper 8. Raises UnusableError where the range of values is unknown.
    """
    if image.mode == "F":
        raise UnusableError("its pixels are floats of unknown range: convert it to 8 or 16 bits")
    if image.mode.startswith("I"):
        return _from_16_bits(np.asarray(image)).convert("RGB")
    if image.has_transparency_data:
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def _from_16_bits(values: np.ndarray) -> Image.Image:
    """Converts integers (H, W) in [0, 65535] to grey of 8 bits; some readers give 16 bits as int32."""
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise UnusableError(f"its values from {low} to {high} are beyond 16 bits: convert it to 8 or 16 bits")
    # 257 is odd, so a quotient never lies half-way between two integers.
    return Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))
