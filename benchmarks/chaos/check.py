"""What has to hold of a run, whatever was killed."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.chaos.driver import SPACE
from benchmarks.chaos.sleeping import INTERVALS
from gansearch.run.ledger import Ledger
from gansearch.run.paths import RunDir
from gansearch.run.rows import Row, read

_MOST_SHOWN = 5


@dataclass(frozen=True)
class Verdict:
    """What became of the rows of a run.

    Args:
        failed: The trials that failed.
        lost: Rows that are not there, though they were printed, or though there are rows after them.
        doubled: Rows that are there twice.
        repeated: How many intervals were begun again.
    """

    failed: list[str]
    lost: list[str]
    doubled: list[str]
    repeated: int

    def faults(self, most_repeated: int) -> list[str]:
        """Returns what should not be, one line each; empty where all is well."""
        found = [
            f"{what}: {len(items)} ({', '.join(items[:_MOST_SHOWN])})"
            for what, items in (("failed", self.failed), ("lost", self.lost), ("doubled", self.doubled))
            if items
        ]
        if self.repeated > most_repeated:
            found.append(f"{self.repeated} intervals were repeated, at most {most_repeated} should be")
        return found


def check(run: RunDir, printed: Iterable[str], trials: int) -> Verdict:
    """Checks a run whose search is complete.

    Args:
        run: The run.
        printed: What its drivers printed, `EVENT TRIAL_ID` for each row.
        trials: How many trials it should have.
    """
    rows = list(read(run.results))
    ledger, interval = Ledger(rows), SPACE.base.train.eval_images
    written = Counter(f"{row.event} {row.trial_id}" for row in rows)
    lost = list(Counter(printed) - written)
    lost += [f"trial {number:04d}" for number in range(len(ledger), trials)]
    for trial in ledger.values():
        missing = set(range(interval, trial.images + 1, interval)) - {row.images for row in trial.evals}
        lost += [f"eval {trial.trial_id} {images / 1000:g}" for images in sorted(missing)]
        lost += [] if trial.end else [f"end {trial.trial_id}"]
    failed = [trial.trial_id for trial in ledger.values() if trial.status == "failed"]
    doubled = [line for line, count in Counter(map(_key, rows)).items() if count > 1]
    return Verdict(failed, lost, doubled, sum(_repeated(run.trial(id) / INTERVALS) for id in ledger))


def _key(row: Row) -> str:
    return f"{row.event} {row.trial_id} {getattr(row, 'kimg', '')} {getattr(row, 'verdict', '')}".strip()


def _repeated(path: Path) -> int:
    """Returns how many of the intervals that a trial began it had begun before."""
    if not path.exists():
        return 0
    begun = [line.split()[1] for line in path.read_text().splitlines()]
    return len(begun) - len(set(begun))


def outcome_of(run: RunDir) -> list[dict[str, object]]:
    """Returns the rows of a run without what may differ between two searches that decide alike: times and processes."""
    return [
        {key: value for key, value in vars(row).items() if key not in {"time", "node", "train_seconds"}}
        for row in read(run.results)
        if row.event != "noise"
    ]
