"""Grids of generated and of real images as PNG, and a GIF of all grids of a trial."""

import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor, nn

from gansearch.data.base import Images, to_float, to_uint8
from gansearch.training.lettering import drawable, font, font_size, text_width

COLUMNS = ROWS = 8
MOST_CLASSES = 16
_SEED = 0
_LEAST_WIDTH = 512  # of 8 images together, in pixels
_GAP = 2  # pixels between images
_WHITE = 255
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
    chosen = _spread(len(classes), MOST_CLASSES)
    z = torch.randn(COLUMNS, z_dim, generator=rng).repeat(len(chosen), 1)
    return Latents(z, torch.tensor(chosen).repeat_interleave(COLUMNS), tuple(classes[index] for index in chosen))


@torch.no_grad()
def sampled(G: nn.Module, z_dim: int, classes: Sequence[str], caption: str) -> Image.Image:
    """Returns the grid of a generator in eval mode, from `latents`."""
    fixed, device = latents(z_dim, classes), next(G.parameters()).device
    labels = None if fixed.labels is None else fixed.labels.to(device)
    return grid(G(fixed.z.to(device), labels), caption, fixed.names)


def real(images: Images) -> Image.Image:
    """Draws the grid of real images that generated ones are compared with: where there are labels, a row for a class.

    The classes are those of `latents`. The images are spread evenly over the data set, or over those of their class;
    where there are too few, places stay white.
    """
    if images.labels is None:
        shown = _spread(len(images), ROWS * COLUMNS)
        rows, names = [shown[start : start + COLUMNS] for start in range(0, len(shown), COLUMNS)], []
    else:
        classes = _spread(len(images.classes), MOST_CLASSES)
        members = [(images.labels == label).nonzero().flatten() for label in classes]
        rows = [own[_spread(len(own), COLUMNS)].tolist() for own in members]
        names = [images.classes[label] for label in classes]
    pixels = torch.full((len(rows), COLUMNS, *images.pixels.shape[1:]), _WHITE, dtype=torch.uint8)
    for places, chosen in zip(pixels, rows, strict=True):
        places[: len(chosen)] = images.pixels[chosen]
    caption = f"{sum(map(len, rows))} of {len(images):,} real training images"
    return grid(to_float(pixels.flatten(0, 1)), caption, names)


def _spread(count: int, most: int) -> list[int]:
    """Returns at most `most` numbers below `count`, in ascending order and at even distances, with both ends."""
    chosen = min(count, most)
    return [number * (count - 1) // max(1, chosen - 1) for number in range(chosen)]


def grid(images: Tensor, caption: str, names: Sequence[str] = ()) -> Image.Image:
    """Draws images in rows of 8 below a caption, at least 512 pixels wide: each pixel becomes a square of pixels.

    Args:
        images: Images (rows * 8, C, H, W) in [-1, 1], with one or three channels.
        caption: The text above the images.
        names: A text to the left of each row; none by default.
    """
    channels, height, width = images.shape[1:]
    factor = -(-_LEAST_WIDTH // (COLUMNS * width))
    tiles = to_uint8(images).cpu().permute(0, 2, 3, 1).reshape(-1, COLUMNS, height, width, channels).numpy()
    rows, height, width = len(tiles), height * factor, width * factor
    padded = np.full((rows, COLUMNS, height + _GAP, width + _GAP, channels), _WHITE, np.uint8)
    padded[:, :, :height, :width] = tiles.repeat(factor, axis=3).repeat(factor, axis=2)
    body = padded.swapaxes(1, 2).reshape(rows * (height + _GAP), COLUMNS * (width + _GAP), channels)
    size = font_size(body.shape[1])
    margin = size // 2
    short = [drawable(name) for name in names]
    left = max((text_width(name, size) + 2 * margin for name in short), default=_GAP)
    top = size + margin
    canvas = Image.new(
        "L" if channels == 1 else "RGB",
        (left + max(body.shape[1], text_width(caption, size)), top + body.shape[0]),
        "white",
    )
    canvas.paste(Image.fromarray(body.squeeze(-1) if channels == 1 else body), (left, top))
    pen = ImageDraw.Draw(canvas)
    pen.text((left, top // 2), caption, fill="black", font=font(size), anchor="lm")
    for row, name in enumerate(short):
        middle = top + row * (height + _GAP) + height // 2
        pen.text((left - margin, middle), name, fill="black", font=font(size), anchor="rm")
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
