"""Prints the table of runs of one space and length that trained all their trials to the end, as `table.py` reads it.

    gansearch start digits --name a --sampler random --scheduler none --trials 302 --set model.conditioning=none
    gansearch finals a --top 30 --seeds 2
    python -m benchmarks.search_replay.from_run runs/a > benchmarks/search_replay/digits.csv

The finals are further seeds of the configurations that they repeat. A trial that failed or was stopped is left out.
One that diverged has no FID from there on.
"""

import argparse
import csv
import sys
from collections.abc import Iterator

from gansearch.errors import UserError
from gansearch.run import find_run, load
from gansearch.run.domain import as_typed
from gansearch.run.ledger import TrialState
from gansearch.run.loaded import Run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN")
    try:
        runs = [load(find_run(run)) for run in parser.parse_args().runs]
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    train = runs[0].manifest.space.base.train
    kimgs = [number * train.eval_images / 1000 for number in range(1, train.evaluations + 1)]
    paths = list(runs[0].manifest.space.params)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["config", "seed", *paths, *(f"{kimg:g}" for kimg in kimgs)])
    for run in runs:
        for config, trial in _trainings(run):
            values = [trial.start.params.get(path) for path in paths]
            fids = [row.fid for row in trial.evals]
            row = [*values, *fids, *[None] * (len(kimgs) - len(fids))]
            writer.writerow([config, trial.start.seed, *map(_short, row)])
    return 0


def _trainings(run: Run) -> Iterator[tuple[str, TrialState]]:
    """Yields the trials that came to their end, each after the name of its configuration: a run and its first trial."""
    first: dict[str, str] = {}
    for trial in run.ledger.values():
        if trial.is_finished(round(run.manifest.max_kimg * 1000)):
            yield first.setdefault(trial.params_key, f"{run.dir.name}-{trial.trial_id}"), trial


def _short(value: object) -> str:
    """Returns a number with five digits, which is far more than its noise, and anything else as `--set` takes it."""
    if value is None:
        return ""
    return f"{value:.5g}" if isinstance(value, float) else as_typed(value)


if __name__ == "__main__":
    sys.exit(main())
