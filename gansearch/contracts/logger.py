"""The contract of a logger."""

from gansearch.contracts.base import holds, require
from gansearch.contracts.example import example_run, rows
from gansearch.run.rows import Row
from gansearch.search.loggers.base import Logger

SUBJECT = Logger


def _log(logger: Logger, before: list[Row], new: list[Row]) -> None:
    with example_run(before) as run, logger.opened(run) as log:
        for row in new:
            run.ledger.add(row)
            log(row, run.ledger)


@holds("It takes every row of a new run.")
def it_takes_every_row(logger: Logger) -> None:
    _log(logger, [], rows())


@holds("It goes on where a run is resumed.")
def it_goes_on(logger: Logger) -> None:
    found = rows()
    _log(logger, found[:4], found[4:])


@holds("It changes no file that the run is read from, and no row.")
def it_changes_nothing_of_the_run(logger: Logger) -> None:
    found = rows()
    with example_run([]) as run:
        kept = {run.dir.search_json: "{}", run.dir.results: "", run.dir.study_journal: ""}
        for path, text in kept.items():
            path.write_text(text)
        with logger.opened(run) as log:
            for row in found:
                run.ledger.add(row)
                log(row, run.ledger)
        changed = [path.name for path, text in kept.items() if not path.exists() or path.read_text() != text]
    require(not changed, f"it changes {', '.join(changed)}")
    times = [row.time for row in found]
    expected = [(type(row), row.trial_id) for row in rows()]
    require([(type(row), row.trial_id) for row in found] == expected and len(times) == len(found), "it changes rows")
