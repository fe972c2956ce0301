"""Writes the report of a run, with a summary of the networks, which only the training can build."""

import contextlib
import io
from pathlib import Path

from gansearch.analysis.report.write import write_report
from gansearch.config import from_json
from gansearch.errors import UserError
from gansearch.run import Run


def report(run: Run, out: Path | None = None) -> Path:
    """Writes the report of a run to `out`, by default into the run's folder, and returns its path.

    Raises:
        UserError: The file can't be written.
    """
    return write_report(run, out, networks=_networks(run))


def _networks(run: Run) -> str | None:
    """Returns what `trial --describe` prints of the best generator's configuration.

    It is None where the networks can't be built here: the configuration is gone, is of another version, or names code
    that nobody has permitted.
    """
    best = run.best_generator
    if best is None:
        return None
    printed = io.StringIO()
    try:
        config = from_json(run.dir.trial_config(best.trial_id).read_text())
        from gansearch.cli.describe import print_description  # imports torch

        with contextlib.redirect_stdout(printed):
            print_description(config)
    except (UserError, OSError, UnicodeDecodeError):
        return None
    return printed.getvalue()
