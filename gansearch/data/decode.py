"""Image files to squares of one size: every mode that Pillow reads becomes RGB of 8 bits, or is refused."""

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
    """An image that cannot be used; its message is the reason, without the path."""


def squares(paths: Sequence[Path], resolution: int) -> Generator[Tensor | UnusableError, None, None]:
    """For each path, in order: uint8 (3, resolution, resolution), or why there is none.

    Decodes in threads, and so few images at a time that they never fill the memory.
    """
    # A switch of the whole process, which other libraries turn on: a cut file would then be half grey.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    remaining = iter(paths)
    with ThreadPoolExecutor(max_workers=min(16, os.cpu_count() or 1)) as pool:
        while some := list(islice(remaining, _AT_ONCE)):
            yield from pool.map(lambda path: _try(path, resolution), some)


def _try(path: Path, resolution: int) -> Tensor | UnusableError:
    try:
        return square(path, resolution)
    except UnusableError as unusable:
        return unusable


def square(path: Path, resolution: int) -> Tensor:
    """One file as uint8 (3, resolution, resolution): centre crop to a square, then `base.resize`.

    Turned as its EXIF says; of an animation the first frame. Raises UnusableError.
    """
    try:
        with Image.open(path, formats=FORMATS) as opened:
            image = _rgb(ImageOps.exif_transpose(opened))
    except Image.UnidentifiedImageError:
        raise UnusableError(f"none of {', '.join(FORMATS)}") from None
    # SyntaxError is how some of Pillow's readers say that a file is broken.
    except (OSError, ValueError, EOFError, SyntaxError, Image.DecompressionBombError) as error:
        raise UnusableError(one_line(error)) from error
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    pixels = np.array(image.crop((left, top, left + side, top + side)))
    return resize(torch.from_numpy(pixels).permute(2, 0, 1)[None], resolution)[0].contiguous()


def _rgb(image: Image.Image) -> Image.Image:
    """RGB of 8 bits: transparency on white, grey of 16 bits rounded; UnusableError where the range is not known.

    Of coloured 16 bits Pillow itself keeps the upper 8.
    """
    if image.mode == "F":
        raise UnusableError("its pixels are floats, whose range is not known: convert it to 8 or 16 bits")
    if image.mode.startswith("I"):
        return _from_16_bits(np.asarray(image)).convert("RGB")
    if image.has_transparency_data:
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def _from_16_bits(values: np.ndarray) -> Image.Image:
    """Grey of 8 bits from integers (H, W) in [0, 65535]; some readers give 16 bits as 32."""
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise UnusableError(f"its values from {low} to {high} are beyond 16 bits: convert it to 8 or 16 bits")
    # 257 is odd, so that a quotient is never half-way between two integers.
    return Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))
