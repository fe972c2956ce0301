"""Ctrl-C and SIGTERM: the search ends in order, everything saved."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interruption:
    """The signal that asked the search to end, None while there was none."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self.tuning = False

    @property
    def exit_code(self) -> int:
        return 128 + (self.signal or 0)

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Asks Tune to stop in order (it listens to SIGUSR1); before Tune runs, or when asked twice, stops at once."""
        again = self.signal is not None
        self.signal = number
        if again or not self.tuning:
            raise KeyboardInterrupt
        os.kill(os.getpid(), signal.SIGUSR1)


@contextmanager
def interruptible(interruption: Interruption) -> Iterator[None]:
    """Handles SIGINT and SIGTERM for the time of the block; a KeyboardInterrupt ends the block quietly."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, interruption.handle) for number in numbers}
    try:
        yield
    except KeyboardInterrupt:
        interruption.signal = interruption.signal or signal.SIGINT
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
