"""Ends a search in order on a signal, with everything saved: Ctrl-C, `kill`, the end of a job, a closed terminal."""

import logging
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from gansearch.errors import UserError

logger = logging.getLogger(__name__)

# Slurm sends SIGUSR1 ahead of a time limit where a job asks for that.
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
_LONGEST = 12.0  # seconds from a signal to the end of the process
_FAREWELL = 2.0  # seconds


class GracefulShutdown:
    """Records in `signal` the signal that asks the search to end; None until one arrives.

    The block of `handling` ends at once, by a KeyboardInterrupt, also while trials train: a trial goes on from its last
    evaluation.

    A signal to all processes of a job ends the search's Ray as well, and calls into a Ray that is gone wait for
    minutes. So a process that is the search's own, which says so by a `farewell`, ends 12 s after a signal, in order or
    not: all rows are on the disk.

    Args:
        farewell: Says how the search is continued. It is called once, at the end of a block that a signal has ended.
    """

    def __init__(self, farewell: Callable[[], None] | None = None) -> None:
        self.signal: int | None = None
        self.abandon: Callable[[], None] | None = None
        self._farewell = farewell
        self._deadline: float | None = None
        self._is_ending = False

    @property
    def exit_code(self) -> int:
        return 128 + (self.signal or 0)

    def install(self) -> None:
        """Installs the signal handlers. Call this again after `ray.init`, which replaces handlers.

        Only the main thread can have handlers; in another one signals are the business of the main thread. Under
        `nohup` SIGHUP stays ignored.
        """
        if _is_main_thread():
            for number in _SIGNALS:
                if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                    signal.signal(number, self._handle)

    def reset(self) -> None:
        """Lets the search go on as if no signal had arrived."""
        self.signal, self._deadline, self._is_ending = None, None, False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.signal = self.signal or number
        _drop_closed_outputs()
        if self._is_ending and self._farewell is not None:
            return  # a second signal must not end the end, which does not take long
        self._is_ending = True
        raise KeyboardInterrupt

    @contextmanager
    def handling(self) -> Iterator[None]:
        """Handles signals within the block; a KeyboardInterrupt ends the block without an error."""
        before = {number: signal.getsignal(number) for number in _SIGNALS}
        self.install()
        try:
            with self._watched():
                yield
        except KeyboardInterrupt:
            self.signal = self.signal or signal.SIGINT
        except Exception as error:
            if self.signal is None or isinstance(error, UserError):
                raise
            logger.debug("after a signal, which Ray has got too", exc_info=True)
        finally:
            if _is_main_thread():
                for number, handler in before.items():
                    signal.signal(number, handler)
        if self.signal is not None and self._farewell is not None:
            _drop_closed_outputs()
            self._farewell()

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Lets a thread see signals within the block, also while the main thread waits in Ray and runs no handler.

        Tune has a handler of its own for SIGUSR1, and Ray for SIGTERM while it starts: of these, too, the thread sees
        all.
        """
        if not _is_main_thread():
            yield
            return
        receiver, sender = socket.socketpair()
        sender.setblocking(False)
        before = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._watch, args=[receiver], daemon=True).start()
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            sender.close()

    def _watch(self, receiver: socket.socket) -> None:
        """Records the signals whose numbers arrive, until the other end is closed; ends the process if that is late."""
        with receiver:
            while True:
                receiver.settimeout(None if self._deadline is None else max(0.1, self._deadline - time.monotonic()))
                try:
                    received = receiver.recv(1)
                except TimeoutError:
                    if self._deadline is not None and time.monotonic() >= self._deadline:
                        self._leave()
                    continue
                if not received:
                    return
                if received[0] in _SIGNALS:
                    self.signal = self.signal or received[0]
                    if self._farewell is not None and self._deadline is None:
                        self._deadline = time.monotonic() + _LONGEST

    def _leave(self) -> None:
        """Ends the process at once, and a Ray of its own with it."""
        _drop_closed_outputs()
        farewell = threading.Thread(target=self._farewell, daemon=True)
        farewell.start()
        farewell.join(_FAREWELL)  # the main thread may hold what writing a message needs
        if self.abandon is not None:
            self.abandon()
        os._exit(self.exit_code)


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _drop_closed_outputs() -> None:
    """Lets messages go nowhere where the terminal, or the reader of a pipe, has ended by the same signal."""
    for output in (1, 2):
        poll = select.poll()
        poll.register(output, 0)
        if poll.poll(0):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, output)
            os.close(nowhere)
