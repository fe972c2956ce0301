"""A folder of images: flat, or a folder per class, with or without `train` and `test` above."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from gansearch.data.base import Dataset, Images, NoSplit, Split
from gansearch.data.decoded import File, Selection, load_decoded
from gansearch.errors import UserError
from gansearch.registry import component


@component
class ImageFolder(Dataset):
    """The images below `dir` in the order of their paths, as RGB: centre crop to a square, then antialiased resize.

    The folders directly below `dir` are the classes; deeper folders do not matter. Images directly in `dir` have no
    labels. Where `dir` holds both `train` and `test`, these two are the splits; otherwise all images are `train`, but
    for the share `test_share`, which is held out. A hash of an image's relative path decides whether it is held out, so
    adding or removing other images changes nothing for it. Hidden files are ignored; every other file must be an image
    of one of `decode.FORMATS`. With `skip_broken`, files that are no such image are skipped, with a warning. Grey,
    palette and CMYK become RGB, transparency becomes white, grey of 16 bits is rounded to 8. The images are decoded
    once and cached.

    Args:
        dir: The folder of the images.
        skip_broken: Skips files that are no images, with a warning, instead of refusing the folder.
        test_share: The share of the images that is held out as the split `test`.
    """

    dir: str
    skip_broken: bool = False
    test_share: Annotated[float, Field(ge=0, lt=1)] = 0

    def load(self, split: Split) -> Images:
        root = Path(self.dir).expanduser()
        if not root.is_dir():
            raise UserError(f"data.dir={root}: there is no such folder; give the folder of your images with --data-dir")
        folders, files = self._splits(root)
        if not any(files.values()):
            raise UserError(f"{root} holds no images: put images into it, or give another --data-dir")
        if not files[split]:
            raise NoSplit(self._no_images(folders[split], split))
        classes = _classes(folders, files)
        return load_decoded(
            Selection(
                root=folders[split],
                split=split,
                files=files[split],
                labels=_labels(files[split], classes),
                classes=classes,
                resolution=self.resolution,
                skip_broken=self.skip_broken,
                test_share=self.test_share,
            )
        )

    def _splits(self, root: Path) -> tuple[dict[Split, Path], dict[Split, list[File]]]:
        """Returns the folder and the files of each split."""
        own: dict[Split, Path] = {"train": root / "train", "test": root / "test"}
        if all(folder.is_dir() for folder in own.values()):
            if self.test_share:
                raise UserError(
                    f"data.test_share={self.test_share}, but {root} has its own folder `test`: leave the option out"
                )
            return own, {split: list(_files(folder)) for split, folder in own.items()}
        files: dict[Split, list[File]] = {"train": [], "test": []}
        for file in _files(root):
            files["test" if _uniform(file.name) < self.test_share else "train"].append(file)
        return {"train": root, "test": root}, files

    def _no_images(self, folder: Path, split: Split) -> str:
        if self.test_share:
            return f"{folder} has no {split} images with data.test_share={self.test_share}: give it another value"
        if folder != Path(self.dir).expanduser():
            return f"{folder} holds no images: put images into it"
        return (
            f"{folder} has no test images: put folders `train` and `test` into it, hold some images out with "
            "--set data.test_share=0.1, or use split train"
        )


def _files(folder: Path, prefix: str = "", above: tuple[str, ...] = ()) -> Iterator[File]:
    """Yields all files below `folder` that are not hidden, in the order of their names; follows links to folders.

    A link that leads nowhere has the size -1; opening it fails later with a message that names it.
    """
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise UserError(f"{folder} cannot be read ({error.strerror}): fix its permissions") from None
    if not prefix or folder.is_symlink():
        real = os.path.realpath(folder)
        if real in above:
            raise UserError(f"{folder} is a link to a folder that leads to it again: remove it")
        above = (*above, real)
    for entry in found:
        name = prefix + entry.name
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _files(folder / entry.name, f"{name}/", above)
        else:
            try:
                state = entry.stat()
            except OSError:
                yield File(name, -1, -1)
            else:
                yield File(name, state.st_size, state.st_mtime_ns)


def _uniform(name: str) -> float:
    """Returns a number in [0, 1) that depends on a path alone."""
    return int.from_bytes(hashlib.sha256(os.fsencode(name)).digest()[:6], "big") / 2**48


def _classes(folders: dict[Split, Path], files: dict[Split, list[File]]) -> tuple[str, ...]:
    """Returns the names of the first-level folders of both splits, so that a label means the same class in both.

    There are none where the folder is flat. Raises UserError where some images lie in folders and others beside them.
    """
    every = [(folders[split], file) for split in files for file in files[split]]
    flat = [folder / file.name for folder, file in every if "/" not in file.name]
    if flat and len(flat) < len(every):
        raise UserError(f"{flat[0]} lies beside folders of images: move it into one of them, one folder for each class")
    return () if flat else tuple(sorted({_class(file) for _, file in every}))


def _class(file: File) -> str:
    return file.name.partition("/")[0]


def _labels(files: list[File], classes: tuple[str, ...]) -> Tensor | None:
    index = {name: number for number, name in enumerate(classes)}
    return torch.tensor([index[_class(file)] for file in files]) if classes else None
