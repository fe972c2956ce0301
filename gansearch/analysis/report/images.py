"""The images of a run's trials, re-encoded where they are large, as data URIs of a page."""

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageSequence

from gansearch.analysis.pictures import opened
from gansearch.run.loaded import Run
from gansearch.run.paths import SAMPLES

_LARGEST, _LARGEST_ANIMATION = 400_000, 2_500_000  # bytes; larger files are encoded again
_WIDEST, _WIDEST_ANIMATION = 1024, 560  # pixels, of what is encoded again
_MOST_FRAMES = 30
_LAST_FRAME_MS, _FRAME_MS = 3000, 200


class Picture(NamedTuple):
    """An image in a page.

    Args:
        source: A data URI.
        width: In pixels.
        height: In pixels.
        alt: What the image shows, for somebody who can't see it.
        caption: What stands below it.
    """

    source: str
    width: int
    height: int
    alt: str
    caption: str


def grids(run: Run, trial_id: str) -> list[int]:
    """Returns after how many images a trial has grids of samples, in ascending order."""
    folder = run.artifacts(trial_id)
    names = [path.stem for path in (folder / SAMPLES).glob("*.png")] if folder else []
    return sorted(int(name) for name in names if name.isdecimal())


def picture(path: Path, alt: str, caption: str) -> Picture | None:
    """Reads an image; returns None where there is none, or, with a warning, where it can't be read."""
    image = opened(path)
    if image is None:
        return None
    content, kind, (width, height) = path.read_bytes(), (image.format or "").lower(), image.size
    small = content
    if getattr(image, "is_animated", False):
        if len(content) > _LARGEST_ANIMATION:
            kind, small, (width, height) = "webp", *_smaller_animation(image)
    elif len(content) > _LARGEST:
        kind, small, (width, height) = "webp", *_smaller(image)
    source = f"data:image/{kind};base64,{base64.b64encode(small).decode()}"
    return Picture(source, width, height, alt, caption)


def _smaller(image: Image.Image) -> tuple[bytes, tuple[int, int]]:
    small = _reduced(image.convert("RGB"), _WIDEST)
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=85)
    return buffer.getvalue(), small.size


def _smaller_animation(image: Image.Image) -> tuple[bytes, tuple[int, int]]:
    frames = [_reduced(frame, _WIDEST_ANIMATION) for frame in _some_frames(image)]
    durations = [_FRAME_MS] * (len(frames) - 1) + [_LAST_FRAME_MS]
    buffer = io.BytesIO()
    frames[0].save(buffer, "WEBP", save_all=True, append_images=frames[1:], duration=durations, loop=0, quality=70)
    return buffer.getvalue(), frames[0].size


def _some_frames(image: Image.Image) -> Iterator[Image.Image]:
    """Yields at most 30 frames of an animation, at even distances, with the first and the last."""
    count = getattr(image, "n_frames", 1)
    chosen = min(count, _MOST_FRAMES)
    numbers = {number * (count - 1) // max(1, chosen - 1) for number in range(chosen)}
    for number, frame in enumerate(ImageSequence.Iterator(image)):
        if number in numbers:
            yield frame.convert("RGB")


def _reduced(image: Image.Image, widest: int) -> Image.Image:
    if image.width <= widest:
        return image.copy()
    return image.resize((widest, round(image.height * widest / image.width)), Image.Resampling.LANCZOS)
