"""Whether a gradient will be derived once more, as a gradient penalty does.

Some layers have a faster gradient that cannot be derived again. They ask here which one is wanted.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_SECOND = ContextVar("second", default=False)


def second_wanted() -> bool:
    """Whether the forward pass of now is one whose gradient will be derived."""
    return _SECOND.get()


@contextmanager
def second_derivatives() -> Iterator[None]:
    """Forward passes within have second derivatives."""
    token = _SECOND.set(True)
    try:
        yield
    finally:
        _SECOND.reset(token)
