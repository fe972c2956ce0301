"""A token in the storage of a run, by which a node can tell that it sees the same storage as the driver."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from gansearch.errors import UserError, one_line
from gansearch.run.paths import TOKEN
from gansearch.training.storage import Storage


@contextmanager
def written_token(checkpoints: str) -> Iterator[str]:
    """Writes a token below the root of all checkpoints, and removes it at the end of the block.

    Raises:
        UserError: It can't be written.
    """
    storage, token = Storage(checkpoints, patience=0), uuid.uuid4().hex
    try:
        storage.write(TOKEN, token.encode())
    except OSError as error:
        raise UserError(f"can't write to {checkpoints} ({one_line(error)}): fix that first") from None
    try:
        yield token
    finally:
        with suppress(OSError):  # where the storage is away; a token that stays does no harm
            storage.remove(TOKEN)


def sees(checkpoints: str, token: str) -> bool:
    """Returns whether this node sees the storage that has the token; OSError where the storage does not answer."""
    try:
        return Storage(checkpoints).read(TOKEN).decode() == token
    except FileNotFoundError:
        return False
