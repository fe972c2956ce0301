"""How an FID was measured. Two FIDs of different protocols are never ranked together."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any, Self

from gansearch.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """All that an FID depends on besides the generated images. `data` is the reference images' fingerprint.

    `estimator` is `standard`, or `chunked-1024`: the mean over the FIDs of chunks of 1,024 real and 1,024 generated
    images. `num_real` and `num_fake` are those really used.
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
        """The first 12 hex digits of the SHA-256 of this protocol's JSON with sorted keys."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:12]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`; ValueError names what is missing or unknown."""
        odd = {field.name for field in fields(cls)} ^ set(tree)
        if odd:
            raise ValueError(f"no protocol: missing or unknown {', '.join(sorted(odd))}")
        return cls(**tree)

    def to_record(self) -> dict[str, Any]:
        """What a run's files hold: the parts, and their hash for those who only compare."""
        return {"hash": self.hash, **self.to_dict()}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """The inverse of `to_record`; raises as `from_dict` does."""
        return cls.from_dict({key: value for key, value in record.items() if key != "hash"})

    def require(self, other: "Protocol", what: str, mend: str) -> None:
        """UserError `what`, with the parts that differ and how to `mend` it, where `other` is another protocol."""
        if other != self:
            raise UserError(f"{what} ({self.difference(other)}): {mend}")

    def difference(self, other: "Protocol") -> str:
        """What differs, as `num_fake 1024 / 5000, seed 0 / 1`; hashes cut short; empty for equal ones."""
        mine, theirs = self.to_dict(), other.to_dict()
        return ", ".join(
            f"{name} {_short(mine[name])} / {_short(theirs[name])}" for name in mine if mine[name] != theirs[name]
        )


@dataclass(frozen=True, kw_only=True)
class Floor:
    """What a perfect generator would score: the FID of `images` real images of `split`, which is not the reference's.

    Fewer images give a higher FID. ValueError for a FID that is negative or not finite.
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
