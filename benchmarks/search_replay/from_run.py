"""Prints the table of a run that trained all its trials to full length, as `table.py` reads it.

    gansearch start digits --name table --sampler random --scheduler none --trials 302
    gansearch finals table --top 30 --seeds 2
    python -m benchmarks.search_replay.from_run runs/table > benchmarks/search_replay/digits.csv

The finals are further seeds of the configurations that they repeat. A trial that failed or was stopped is left out.
"""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

from gansearch.errors import UserError
from gansearch.run import RunDir, load
from gansearch.run.domain import as_typed
from gansearch.run.ledger import TrialState
from gansearch.run.loaded import Run


def main() -> int:
    try:
        run = load(RunDir(Path(sys.argv[1])))
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    writer = csv.writer(sys.stdout, lineterminator="\n")
    paths = list(run.manifest.space.params)
    writer.writerow(["config", "seed", "kimg", "fid", *paths])
    for config, trial in _trainings(run):
        values = [trial.start.params.get(path) for path in paths]
        for row in trial.evals:
            shown = ["" if value is None else _short(value) for value in values]
            writer.writerow([config, trial.start.seed, f"{row.kimg:g}", _short(row.fid), *shown])
    return 0


def _trainings(run: Run) -> Iterator[tuple[str, TrialState]]:
    """Yields the trials that came to their end, each after the name of its configuration."""
    first: dict[str, str] = {}
    for trial in run.ledger.values():
        if trial.is_finished(round(run.manifest.max_kimg * 1000)):
            yield first.setdefault(trial.params_key, trial.trial_id), trial


def _short(value: object) -> str:
    """Returns a number with five digits, which is far more than its noise, and anything else as `--set` takes it."""
    return f"{value:.5g}" if isinstance(value, float) else as_typed(value)


if __name__ == "__main__":
    sys.exit(main())
