"""Ends a search in order on Ctrl-C and SIGTERM, with everything saved."""

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

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
        """Installs the signal handlers. Call this again after `ray.init`, which replaces the handlers.

        Only the main thread can have handlers; in another one signals are the business of the main thread.
        """
        _set_handlers(dict.fromkeys(_SIGNALS, self._handle))

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
            _set_handlers(before)


def _set_handlers(handlers: Mapping[signal.Signals, Any]) -> None:
    if threading.current_thread() is threading.main_thread():
        for number, handler in handlers.items():
            signal.signal(number, handler)
