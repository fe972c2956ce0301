"""Ctrl-C and SIGTERM: the search ends in order, everything saved."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class GracefulShutdown:
    """Holds the signal that asked the search to end; None while there was none.

    While `tuning` is set, Tune is left to end the search. Otherwise, or when asked twice, a signal ends the block of
    `handling` at once.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self.tuning = False

    @property
    def exit_code(self) -> int:
        return 128 + (self.signal or 0)

    def install(self) -> None:
        """Takes the signals; to be called again after `ray.init`, which takes them for itself."""
        for number in _SIGNALS:
            signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        again = self.signal is not None
        self.signal = number
        if again or not self.tuning:
            raise KeyboardInterrupt

    @contextmanager
    def handling(self) -> Iterator[None]:
        """Handles SIGINT and SIGTERM for the time of the block; a KeyboardInterrupt ends the block quietly."""
        before = {number: signal.getsignal(number) for number in _SIGNALS}
        self.install()
        try:
            yield
        except KeyboardInterrupt:
            self.signal = self.signal or signal.SIGINT
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
