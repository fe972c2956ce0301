"""A folder of images: flat, or a folder per class, with or without `train` and `test` above."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from gansearch.data.base import Dataset, Images, Split, resize
from gansearch.errors import UserError, one_line
from gansearch.registry import component

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")


@component
class ImageFolder(Dataset):
    """The images below `dir` in order of their paths, as RGB: centre crop to a square, then antialiased resize.

    Folders directly below are the classes, whatever lies deeper; images directly in `dir` have no labels. Where `dir`
    holds both `train` and `test`, these are the splits; otherwise everything is `train`. Hidden files are ignored,
    every other file must be an image of `FORMATS`.
    """

    dir: str

    def load(self, split: Split) -> Images:
        root = Path(self.dir).expanduser()
        if not root.is_dir():
            raise UserError(f"data.dir={root}: there is no such folder; give the folder of your images with --data-dir")
        folders = {name: root / name for name in ("train", "test")}
        if not all(folder.is_dir() for folder in folders.values()):
            folders = {"train": root}
        if split not in folders:
            raise UserError(f"{root} has no test images: put folders `train` and `test` into it, or use split train")
        listed = {name: list(_files(folder)) for name, folder in folders.items()}
        paths = listed[split]
        if not paths:
            raise UserError(f"{folders[split]} holds no images: put some into it, or give another --data-dir")
        # Over both splits, so that a label means one class in either.
        classes = tuple(sorted({name for split, files in listed.items() for name in _classes(folders[split], files)}))
        return Images(
            pixels=_decode(paths, self.resolution),
            labels=_labels(folders[split], paths, classes) if classes else None,
            classes=classes,
        )


def _files(folder: Path) -> Iterator[Path]:
    """All files below `folder` that are not hidden, in the order of their names, links to folders followed."""
    try:
        entries = sorted(folder.iterdir(), key=lambda path: path.name)
    except OSError as error:
        raise UserError(f"{folder} cannot be read ({error.strerror}): mend its permissions") from None
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _files(entry)
        else:
            yield entry


def _classes(folder: Path, files: list[Path]) -> set[str]:
    """Names of the first-level folders; UserError where images lie beside them."""
    flat = [file for file in files if file.parent == folder]
    if flat and len(flat) < len(files):
        raise UserError(f"{flat[0]} lies beside folders of images: move it into one of them, which are the classes")
    return set() if flat else {file.relative_to(folder).parts[0] for file in files}


def _labels(folder: Path, files: list[Path], classes: tuple[str, ...]) -> Tensor:
    index = {name: number for number, name in enumerate(classes)}
    return torch.tensor([index[file.relative_to(folder).parts[0]] for file in files])


def _decode(paths: list[Path], resolution: int) -> Tensor:
    """uint8 (N, 3, resolution, resolution), in the order of `paths`; the first broken file is named."""
    pixels = torch.empty(len(paths), 3, resolution, resolution, dtype=torch.uint8)

    def fill(number: int) -> None:
        pixels[number] = _read(paths[number], resolution)

    with ThreadPoolExecutor(max_workers=min(16, os.cpu_count() or 1)) as pool:
        jobs = [pool.submit(fill, number) for number in range(len(paths))]
        try:
            for job in jobs:
                job.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    return pixels


def _read(path: Path, resolution: int) -> Tensor:
    try:
        with Image.open(path, formats=FORMATS) as opened:
            if opened.mode.startswith(("I", "F")):
                raise ValueError(f"its pixels are of mode {opened.mode}, not of 8 bits: convert it")
            image = ImageOps.exif_transpose(opened).convert("RGB")
    # SyntaxError is how some of Pillow's readers say that a file is broken.
    except (OSError, ValueError, EOFError, SyntaxError, Image.DecompressionBombError) as error:
        reason = f"none of {', '.join(FORMATS)}" if isinstance(error, Image.UnidentifiedImageError) else one_line(error)
        raise UserError(f"{path} is no usable image ({reason}): mend it or move it away") from error
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = np.array(image.crop((left, top, left + side, top + side)))
    return resize(torch.from_numpy(square).permute(2, 0, 1)[None], resolution)[0]
