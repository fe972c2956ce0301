"""Opens the loggers of a run. A logger that fails is switched off, and the search goes on."""

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from gansearch import registry
from gansearch.config import Component
from gansearch.errors import UserError, kind_and_message
from gansearch.run import Ledger, Run
from gansearch.run.rows import Row
from gansearch.search.loggers.base import Listener, Logger

_logger = logging.getLogger(__name__)


def open_loggers(run: Run) -> list[AbstractContextManager[Listener]]:
    """Builds the loggers that a run names; each is opened where its context is entered.

    Raises:
        UserError: A logger is unknown or has wrong options; when its context is entered: it can't be opened.
    """
    return [_opened(choice, run) for choice in run.manifest.options.loggers]


@contextmanager
def _opened(choice: Component, run: Run) -> Iterator[Listener]:
    logger: Logger = registry.build("logger", choice)
    try:
        context = logger.opened(run)
        listen = context.__enter__()
    except Exception as error:  # whatever a logger needs is the user's to provide
        raise UserError(f"logger {choice.name}: {kind_and_message(error)}: fix that first") from error
    failed = False

    def log(row: Row, ledger: Ledger) -> None:
        nonlocal failed
        if not failed:
            try:
                listen(row, ledger)
            except Exception:  # days of training must not end because a server of logs is away
                failed = True
                _logger.exception("logger %s failed and is switched off; the search goes on", choice.name)

    try:
        yield log
    finally:
        try:
            context.__exit__(None, None, None)  # also where the search ends by an error, which is not the logger's
        except Exception:
            _logger.exception("logger %s failed at its end", choice.name)
