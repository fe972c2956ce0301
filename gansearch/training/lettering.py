"""Text in pictures: Pillow's own font at a size that fits the picture, and names in the letters that it has."""

import unicodedata
from functools import cache

from PIL import ImageFont

_LONGEST_NAME = 20  # characters


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def font_size(width: int) -> int:
    """Returns the height of text, in pixels, for images that are `width` pixels wide together."""
    return max(16, width // 32)


def text_width(text: str, size: int) -> int:
    return int(font(size).getlength(text)) + 1


def drawable(name: str) -> str:
    """Returns a name in ASCII, all that Pillow's own font has: without accents, on one line, cut where it is too long.

    A letter without a counterpart in ASCII becomes a question mark.
    """
    letters = (letter for letter in unicodedata.normalize("NFKD", name) if not unicodedata.combining(letter))
    plain = " ".join("".join(letters).encode("ascii", "replace").decode().split())
    return plain if len(plain) <= _LONGEST_NAME else f"{plain[: _LONGEST_NAME - 2]}.."
