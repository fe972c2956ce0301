"""How an FID was measured, and the floor of FIDs. FIDs of different protocols are never ranked together."""

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from functools import cached_property
from typing import Any, Self

from pydantic import ConfigDict, ValidationError
from pydantic.dataclasses import dataclass

from gansearch.config import describe
from gansearch.errors import UserError

OF_A_FILE = "file"
"""In place of a split: the statistics of the real images come from a file."""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(strict=True))
class Protocol:
    """All that an FID depends on besides the generated images.

    `data` is the fingerprint of the reference images, or the SHA-256 of a file of statistics, where `split` is `file`.
    `num_real` and `num_fake` count the images that are used; `num_real` is 0 where a file does not tell it.
    `estimator` is `standard` or, for example, `chunked-1024`: the mean over the FIDs of chunks of 1,024 real and 1,024
    generated images.
    """

    extractor: str
    weights_sha256: str
    data: str
    split: str
    num_real: int
    num_fake: int
    resolution: int
    resize: str
    dtype: str
    seed: int
    estimator: str

    @cached_property
    def hash(self) -> str:
        """The first 12 hex digits of the SHA-256 of the protocol as JSON with sorted keys."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:12]

    @property
    def real(self) -> str:
        """What FIDs compare with, as a sentence names it: `1,437 real images of the split train`."""
        count = f"{self.num_real:,} " if self.num_real else ""
        if self.split == OF_A_FILE:
            return f"{count}real images, whose statistics come from a file"
        return f"{count}real images of the split {self.split}"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> Self:
        """Inverts `to_dict`. Raises ValueError with the fields that are missing, unknown or of another type."""
        wrong = {field.name for field in fields(cls)} ^ set(tree)
        if wrong:
            raise ValueError(f"not a protocol: missing or unknown fields {', '.join(sorted(wrong))}")
        try:
            return cls(**tree)
        except ValidationError as error:
            raise ValueError(describe(error)) from None

    def to_record(self) -> dict[str, Any]:
        """Returns the fields and the hash, as the files of a run hold them; a reader may compare the hashes alone."""
        return {"hash": self.hash, **self.to_dict()}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Inverts `to_record`. Raises ValueError as `from_dict` does."""
        return cls.from_dict({key: value for key, value in record.items() if key != "hash"})

    def require(self, other: "Protocol", problem: str, fix: str) -> None:
        """Raises UserError with `problem`, the fields that differ, and `fix`, unless `other` equals this protocol."""
        if other != self:
            raise UserError(f"{problem} ({self.difference(other)}): {fix}")

    def difference(self, other: "Protocol") -> str:
        """Returns the fields that differ, for example `num_fake 1024 / 5000, seed 0 / 1`, with hashes abbreviated."""
        mine, theirs = self.to_dict(), other.to_dict()
        return ", ".join(
            f"{name} {_short(mine[name])} / {_short(theirs[name])}" for name in mine if mine[name] != theirs[name]
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Floor:
    """The FID that a perfect generator would score, measured on `images` real images of `split`.

    The reference images come from the other split. With fewer images the FID is higher.

    Raises:
        ValueError: If the FID is negative or not finite, or there are fewer than 2 images.
    """

    split: str
    images: int
    fid: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.fid) and self.fid >= 0 and self.images >= 2):
            raise ValueError(f"a floor of {self.fid} from {self.images} images")


def _short(value: object) -> str:
    text = str(value)
    return f"{text[:12]}..." if len(text) == 64 else text
