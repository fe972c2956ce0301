"""The evaluations of a run as a CSV file that grows while the search runs: `evaluations.csv`."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields

from gansearch.registry import component
from gansearch.run import Ledger, Run
from gansearch.run.rows import Eval, Row
from gansearch.search.loggers.base import Listener, Logger


@component
class CSV(Logger):
    """Writes every evaluation to `evaluations.csv` in the folder of the run, for a spreadsheet or `tail -f`."""

    @contextmanager
    def opened(self, run: Run) -> Iterator[Listener]:
        with (run.dir.path / "evaluations.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [field.name for field in fields(Eval)])
            writer.writeheader()

            def log(row: Row, ledger: Ledger) -> None:
                if isinstance(row, Eval):
                    writer.writerow(asdict(row))
                    file.flush()

            for trial in run.ledger.values():
                for row in trial.evals:
                    log(row, run.ledger)
            yield log
