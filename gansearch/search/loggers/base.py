"""The base class of loggers: what hands the rows of a search on while it runs."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager

from gansearch.registry import component
from gansearch.run import Ledger, Run
from gansearch.run.rows import Row

Listener = Callable[[Row, Ledger], None]
"""Called in the driver with each new row, and with the ledger that contains the row."""


@component
class Logger(ABC):
    """Options of a logger. `--logger NAME --set logger.NAME.OPTION=VALUE` adds it; several can be added."""

    @abstractmethod
    def opened(self, run: Run) -> AbstractContextManager[Listener]:
        """Returns a context manager that is entered before the first trial and left after the last one.

        Args:
            run: The run with the rows so far, which a search that is resumed has.
        """
