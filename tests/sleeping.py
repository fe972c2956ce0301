"""`gansearch` with trials that sleep: all around a trial is the product's.

`python -m tests.sleeping ARGUMENTS...` is one such command.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.chaos.sleeping import SECONDS, SleepingTrial
from gansearch.cli.results import write_ranking
from gansearch.cli.search import main
from gansearch.run import Run
from gansearch.search.search import Search

ENVIRONMENT = {SECONDS: "0.3", "PYTHONPATH": str(Path(__file__).parents[1])}
"""What the processes of Ray need that train these trials."""


def _conclude(run: Run) -> None:
    write_ranking(run, top=10)
    run.dir.report.parent.mkdir(exist_ok=True)
    run.dir.report.touch()  # without it the run is not complete


@contextmanager
def sleeping_trials(**parts: Any) -> Iterator[None]:
    """Lets the trials of all commands sleep; there are no generators then, so none is measured, drawn or exported.

    `parts` are other arguments of `Search`.
    """
    with ExitStack() as stack:
        stack.enter_context(patch.dict(os.environ, ENVIRONMENT))
        for name, replacement in {
            "search.search.Search": partial(Search, trainable=SleepingTrial, **parts),
            "search.search.measure_noise": lambda search: None,
            "cli.searching.conclude": _conclude,
            "cli.commands.finals.conclude": _conclude,
        }.items():
            stack.enter_context(patch(f"gansearch.{name}", replacement))
        yield


if __name__ == "__main__":
    with sleeping_trials():
        sys.exit(main())
