"""Grids of generated images: a PNG at each evaluation, and a GIF of all grids at the end."""

import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor, nn

from gansearch.data.base import to_uint8

COLUMNS = ROWS = 8
MOST_CLASSES = 16
_SEED = 0
_GAP, _LINE = 2, 14  # pixels between images; the height of a line of text
_LONGEST_NAME = 16
_CAPTION = 170  # pixels at least, so that all grids of a trial are of one size
_WHITE, _BLACK = 255, 0
_GIF_WIDTH = 800
_LOOP_MS, _SHORTEST_MS, _LONGEST_MS, _LAST_MS = 6000, 80, 500, 3000


@dataclass(frozen=True)
class Latents:
    """The inputs of every grid of a trial, row by row, on the CPU: `z` (rows * 8, z_dim) and `labels` (rows * 8,).

    With classes there is one row for each of at most 16 classes, evenly spread over all, and every row has the same z.
    `names` are the names of these classes.
    """

    z: Tensor
    labels: Tensor | None
    names: tuple[str, ...]

    def diagonal(self, count: int) -> Tensor:
        """Returns the indices of `count` images, at most 8, that differ in z and, where possible, in class."""
        column = torch.arange(count)
        return column % (len(self.z) // COLUMNS) * COLUMNS + column


def latents(z_dim: int, classes: Sequence[str] = ()) -> Latents:
    """Returns the inputs of a grid, the same at every call; no other random number generator is used."""
    rng = torch.Generator().manual_seed(_SEED)
    if not classes:
        return Latents(torch.randn(ROWS * COLUMNS, z_dim, generator=rng), None, ())
    rows = min(len(classes), MOST_CLASSES)
    chosen = [row * (len(classes) - 1) // max(1, rows - 1) for row in range(rows)]
    z = torch.randn(COLUMNS, z_dim, generator=rng).repeat(rows, 1)
    return Latents(z, torch.tensor(chosen).repeat_interleave(COLUMNS), tuple(classes[index] for index in chosen))


@torch.no_grad()
def sampled(G: nn.Module, z_dim: int, classes: Sequence[str], caption: str) -> Image.Image:
    """Returns the grid of a generator in eval mode, from `latents`."""
    fixed, device = latents(z_dim, classes), next(G.parameters()).device
    labels = None if fixed.labels is None else fixed.labels.to(device)
    return grid(G(fixed.z.to(device), labels), caption, fixed.names)


def grid(images: Tensor, caption: str, names: Sequence[str] = ()) -> Image.Image:
    """Draws images in rows of 8 below a caption.

    Args:
        images: Images (rows * 8, C, H, W) in [-1, 1], with one or three channels.
        caption: The text above the images.
        names: A text to the left of each row; none by default.
    """
    count, channels, height, width = images.shape
    rows = count // COLUMNS
    tiles = to_uint8(images).cpu().permute(0, 2, 3, 1).numpy().reshape(rows, COLUMNS, height, width, channels)
    padded = np.full((rows, COLUMNS, height + _GAP, width + _GAP, channels), _WHITE, np.uint8)
    padded[:, :, :height, :width] = tiles
    body = padded.swapaxes(1, 2).reshape(rows * (height + _GAP), COLUMNS * (width + _GAP), channels)
    short = [_printable(name) for name in names]
    left = _GAP + max((_text_width(name) + 2 * _GAP for name in short), default=0)
    mode, ink = ("L", _BLACK) if channels == 1 else ("RGB", (_BLACK,) * 3)
    across = left + max(body.shape[1], _text_width(caption), _CAPTION)
    canvas = Image.new(mode, (across, _LINE + _GAP + body.shape[0]), "white")
    canvas.paste(Image.fromarray(body.squeeze(-1) if channels == 1 else body), (left, _LINE + _GAP))
    pen = ImageDraw.Draw(canvas)
    pen.text((left, _GAP), caption, fill=ink)
    for row, name in enumerate(short):
        middle = _LINE + _GAP + row * (height + _GAP) + height // 2
        pen.text((left - 2 * _GAP, middle), name, fill=ink, anchor="rm")
    return canvas


def png(image: Image.Image) -> bytes:
    """Encodes a grid as PNG with settings that take half the time of the default and give about the same size."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1, compress_type=zlib.Z_RLE)
    return buffer.getvalue()


def gif(frames: Sequence[bytes]) -> bytes:
    """Encodes PNGs, at least one, as an endless animation that pauses on the last.

    The values of grey frames do not change. Coloured frames share one palette, so that colours do not flicker.
    """
    images = [_opened(frame) for frame in frames]
    if any(image.mode != "L" for image in images):
        palette = _palette(images)
        images = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    each = min(max(_LOOP_MS // len(images), _SHORTEST_MS), _LONGEST_MS) // 10 * 10  # GIF counts hundredths of a second
    durations = [each] * (len(images) - 1) + [_LAST_MS]
    buffer = io.BytesIO()
    images[0].save(buffer, "GIF", save_all=True, append_images=images[1:], duration=durations, loop=0)
    return buffer.getvalue()


def _opened(frame: bytes) -> Image.Image:
    with Image.open(io.BytesIO(frame)) as image:
        return image.reduce(-(-image.width // _GIF_WIDTH))


def _palette(images: Sequence[Image.Image]) -> Image.Image:
    """Returns 256 colours from some pixels of every frame, by median cut and then k-means."""
    every = max(1, sum(image.width * image.height for image in images) // 2**14)
    some = np.concatenate([np.asarray(image.convert("RGB")).reshape(-1, 3)[::every] for image in images])
    return Image.fromarray(some[None]).quantize(256, method=Image.Quantize.MEDIANCUT, kmeans=1)


def _printable(name: str) -> str:
    """Returns a name in ASCII, which Pillow's own font can draw, cut where it is too long."""
    name = name.encode("ascii", "replace").decode()
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 2]}.."


def _text_width(text: str) -> int:
    return int(ImageDraw.Draw(Image.new("L", (1, 1))).textlength(text)) + 1
