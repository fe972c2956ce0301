"""Reads the pictures that trials have written, also those that a crash or a full disk has cut."""

from pathlib import Path

from PIL import Image, ImageSequence, UnidentifiedImageError

from gansearch.errors import one_line
from gansearch.logs import warn_once


def opened(path: Path) -> Image.Image | None:
    """Returns an image whose pixels, of all its frames, can be read; None where there is none.

    One that is damaged is left out with a warning.
    """
    try:
        image = Image.open(path)
        for frame in ImageSequence.Iterator(image):
            frame.load()
        image.seek(0)
    except FileNotFoundError:
        return None
    except UnidentifiedImageError:
        reason = "it is no image"
    except (OSError, SyntaxError, EOFError, Image.DecompressionBombError) as error:  # Pillow's, for broken content
        reason = one_line(error)
    else:
        return image
    warn_once(f"{path} can't be read ({reason}): it is left out")
    return None
