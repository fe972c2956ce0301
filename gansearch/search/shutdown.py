"""Ends a search in order on Ctrl-C and SIGTERM, with everything saved."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class GracefulShutdown:
    """Records in `signal` the signal that asks the search to end; None until one arrives.

    While `tuning` is set, Tune ends the search after the first signal. Otherwise, and at a second signal, the block of
    `handling` ends at once.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self.tuning = False

    @property
    def exit_code(self) -> int:
        return 128 + (self.signal or 0)

    def install(self) -> None:
        """Installs the signal handlers. Call this again after `ray.init`, which replaces the handlers."""
        for number in _SIGNALS:
            signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        again = self.signal is not None
        self.signal = number
        if again or not self.tuning:
            raise KeyboardInterrupt

    @contextmanager
    def handling(self) -> Iterator[None]:
        """Handles SIGINT and SIGTERM within the block; a KeyboardInterrupt ends the block without an error."""
        before = {number: signal.getsignal(number) for number in _SIGNALS}
        self.install()
        try:
            yield
        except KeyboardInterrupt:
            self.signal = self.signal or signal.SIGINT
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
