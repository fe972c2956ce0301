"""A token in the storage of a run, by which a node can tell that it sees the same storage as the driver."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from gansearch.training.storage import Storage

_TOKEN = ".token"


@contextmanager
def written_token(checkpoints: str) -> Iterator[str]:
    """Writes a token below the root of all checkpoints, and removes it at the end of the block."""
    storage, token = Storage(checkpoints), uuid.uuid4().hex
    storage.write(_TOKEN, token.encode())
    try:
        yield token
    finally:
        storage.remove(_TOKEN)


def sees(checkpoints: str, token: str) -> bool:
    """Returns whether this node sees the storage that has the token; OSError where the storage does not answer."""
    try:
        return Storage(checkpoints).read(_TOKEN).decode() == token
    except FileNotFoundError:
        return False
