"""A trial's checkpoints: the newest and the one before, each whole or not used, on a disk or an object store.

`checkpoint_000057600/` (images shown) holds `last.pt`, all that resuming needs, `best.safetensors`, the averaged
generator at its lowest FID so far, and `checkpoint.json`: the kimg and the FID of that generator, the format, and the
SHA-256 of each file and of the rest of itself. It is written last, so a checkpoint that a crash cut short has none.
Whatever damage a file took afterwards shows in its hash, and the checkpoint before is read in place of that one.
"""

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import Tensor

import gansearch
from gansearch.errors import UserError, one_line
from gansearch.logs import warn_once
from gansearch.run.paths import ABOUT, BEST, LAST, checkpoint_images, checkpoint_name, join
from gansearch.training.storage import Storage

# To be raised where a checkpoint of before could be loaded and would then mean something else. Format 1 had no number.
FORMAT = 2
KEPT = 2  # checkpoints of a trial
_READ_TRIES = 5


@dataclass(frozen=True, kw_only=True)
class About:
    """The progress of a trial, its best FID, and what its networks are built from.

    Args:
        config: The configuration of the trial as JSON data, so that a checkpoint can be exported by itself.
        classes: The names of the classes; empty where the generator takes no labels.
    """

    config: dict[str, Any]
    images: int
    channels: int
    classes: Sequence[str]
    best_fid: float
    best_kimg: float


class _Damaged(Exception):  # noqa: N818 - a state of a file
    """A checkpoint can't be used; the message says which file is damaged, and how."""


class CheckpointDir:
    """The folder of one trial's checkpoints: a path, or a URI such as `s3://bucket/prefix/NAME/0007`.

    A storage that fails is waited for, for `patience` seconds as `Storage` has it; StorageError after that.
    """

    def __init__(self, root: str | Path, patience: float | None = None) -> None:
        self.root = str(root)
        self._storage = Storage(self.root, patience)

    def save(self, last: dict[str, Any], best: dict[str, Tensor], about: About) -> None:
        """Writes a checkpoint, then removes all but the one before. One that is there already and whole stays as it is.

        Args:
            last: All that resuming needs, as `torch.load` with `weights_only` reads it.
            best: The weights of the averaged generator at its lowest FID.
            about: The progress of the trial.
        """
        name, found = checkpoint_name(about.images), self._found()
        if name in found and not self._is_whole(name):
            self._storage.delete(name)
            del found[name]
        if name not in found:
            buffer = io.BytesIO()
            torch.save(last, buffer)
            files = {LAST: buffer.getvalue(), BEST: save_safetensors(best)}
            files[ABOUT] = _sealed(about, files)
            for file, content in files.items():
                self._storage.write(f"{name}/{file}", content)
        earlier = [old for old, images in found.items() if images < about.images]
        for old in earlier[: 1 - KEPT]:
            self._storage.delete(old)

    def last(self, device: torch.device) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
        """Returns what `save` got as `last`, on `device`, and the weights of the best generator, on the CPU.

        They are of the newest checkpoint that is whole; None where there is none. Damage is logged, and so is a
        checkpoint of another version of torch.

        Raises:
            UserError: The checkpoint has another format.
        """
        try:
            found = self._newest(LAST, BEST)
        except _Damaged as fault:
            warn_once(f"{fault}: no other checkpoint is left")
            return None
        if found is None:
            return None
        content, (last, best) = found
        if content["torch"] != torch.__version__:
            versions = f"torch {content['torch']}, and this is torch {torch.__version__}"
            warn_once(f"a checkpoint was written with {versions}: a trial that goes on may differ in the last digits")
        return torch.load(io.BytesIO(last), map_location=device, weights_only=True), read_weights(
            best, f"{self.root}, {BEST}"
        )

    def best(self) -> tuple[dict[str, Tensor], About]:
        """Returns the weights of the averaged generator at its lowest FID, on the CPU, and the progress of the trial.

        They are of the newest checkpoint in which these files are whole. Damage is logged.

        Raises:
            UserError: There is no such checkpoint, or it has another format.
        """
        try:
            found = self._newest(BEST)
        except _Damaged as fault:
            raise UserError(f"{fault}, and no other checkpoint is left: take another trial") from None
        if found is None:
            raise UserError(
                f"no checkpoint under {self.root}: it was removed, or the trial has not reached its first evaluation"
            )
        content, (best,) = found
        return self._weights(best), About(**{field.name: content[field.name] for field in fields(About)})

    def _weights(self, best: bytes) -> dict[str, Tensor]:
        return read_weights(best, f"{BEST} below {self.root}")

    def require_format(self) -> bool:
        """Returns whether there is a checkpoint; raises UserError where it has another format or can't be read."""
        try:
            return self._newest() is not None
        except _Damaged:
            return True
        except OSError as error:
            raise UserError(f"can't read {self.root} ({one_line(error)}): fix that first") from None

    def _found(self) -> dict[str, int]:
        """Returns the images of each checkpoint by its name, the oldest first, cut short or damaged as it may be."""
        images = {name: checkpoint_images(name) for name in self._storage.folders()}
        known = [(count, name) for name, count in images.items() if count is not None]
        return {name: count for count, name in sorted(known)}

    def _newest(self, *files: str) -> tuple[dict[str, Any], list[bytes]] | None:
        """Returns `checkpoint.json` and files of the newest checkpoint in which they are whole.

        It is None without any checkpoint.

        Raises:
            _Damaged: No checkpoint is whole.
            UserError: The checkpoint has another format.
        """
        faults: list[str] = []
        for _ in range(_READ_TRIES):
            names = list(self._found())
            if not names:
                return None
            faults = []
            for name in reversed(names):
                try:
                    found = self._whole(name, *files)
                except _Damaged as fault:
                    faults.append(str(fault))
                    continue
                if faults:
                    warn_once(f"{'; '.join(faults)}: {name} is used instead")
                return found
            if names == list(self._found()):  # else a running trial has replaced them meanwhile
                break
        raise _Damaged("; ".join(faults))

    def _is_whole(self, name: str) -> bool:
        try:
            self._whole(name, LAST, BEST)
        except _Damaged:
            return False
        return True

    def _whole(self, name: str, *files: str) -> tuple[dict[str, Any], list[bytes]]:
        """Returns `checkpoint.json` and files of one checkpoint; raises _Damaged where one of them is not whole."""
        path = join(self.root, name, ABOUT)
        content = _opened(self._read(name, ABOUT), path)
        found = [self._read(name, file) for file in files]
        for file, data in zip(files, found, strict=True):
            if _hash(data) != content["sha256"][file]:
                raise _Damaged(f"{join(self.root, name, file)} is damaged")
        return content, found

    def _read(self, name: str, file: str) -> bytes:
        try:
            return self._storage.read(f"{name}/{file}")
        except FileNotFoundError:
            raise _Damaged(f"{join(self.root, name, file)} is missing") from None
        except (IsADirectoryError, NotADirectoryError) as error:  # all else says nothing of the file
            raise _Damaged(f"{join(self.root, name, file)} can't be read ({one_line(error)})") from None


def read_weights(content: bytes, name: str) -> dict[str, Tensor]:
    """Returns the weights in the content of a safetensors file, on the CPU; UserError, with its name, for another."""
    try:
        return load_safetensors(content)
    except SafetensorError as error:
        raise UserError(f"{name} holds no weights ({one_line(error)}): bring back the file that was written") from None


def _sealed(about: About, files: dict[str, bytes]) -> bytes:
    """Returns the content of `checkpoint.json`, which has the SHA-256 of the other `files` and of its own rest."""
    hashes = {file: _hash(data) for file, data in files.items()}
    versions = {"format": FORMAT, "gansearch": gansearch.__version__, "torch": torch.__version__}
    content = {**versions, **asdict(about), "sha256": hashes}
    hashes[ABOUT] = _seal(content)
    return json.dumps(content).encode()


def _opened(text: bytes, path: str) -> dict[str, Any]:
    """Returns the content of the `checkpoint.json` at `path`.

    Raises:
        _Damaged: It is not what was written.
        UserError: It has another format. That is no damage, which an earlier checkpoint or a new start would mend.
    """
    number: Any = FORMAT
    try:
        content = json.loads(text)
        number = content.get("format", 1 if "config" in content and "sha256" not in content else FORMAT)
        is_whole = content["sha256"][ABOUT] == _seal(content)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):  # no JSON, or something else
        is_whole = False
    if type(number) is int and number != FORMAT:
        version = content.get("gansearch")
        writer = f"gansearch {ascii(version)[1:-1]}" if isinstance(version, str) else "an earlier gansearch"
        raise UserError(
            f"{path} was written by {writer}, format {number}; this one reads format {FORMAT}: "
            "go on with that version, or start a new search"
        )
    if not is_whole:
        raise _Damaged(f"{path} is damaged")
    return content


def _seal(content: dict[str, Any]) -> str:
    """Returns the SHA-256 of all that a `checkpoint.json` has, except for that of itself."""
    hashes = {file: digest for file, digest in content["sha256"].items() if file != ABOUT}
    return _hash(json.dumps({**content, "sha256": hashes}, sort_keys=True).encode())


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
