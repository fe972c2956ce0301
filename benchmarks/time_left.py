"""Compares the time left that a search showed, had it been asked at each row, with the time that it did take.

    python -m benchmarks.time_left RUN [RUN ...]

The last driver of each run is replayed from `results.jsonl`: the one that has started, resumed or extended the run, or
trained its finals; what was before is known to it. It must have come to its end. The table has, for each run, the
ratio of the estimate to the truth at some parts of the driver's time, the farthest of these from 1 (`worst`), and how
often the range covered the truth. Below are the medians over the runs of the error factor, max(ratio, 1 / ratio).
Drivers are told apart by their Ray nodes, so each must have started a Ray of its own.
"""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from gansearch.run import Plan, RunDir, load
from gansearch.run.ledger import Ledger
from gansearch.run.manifest import Manifest
from gansearch.run.rows import Decision, End, Eval, Row, Start
from gansearch.search.pace import seconds_of
from gansearch.search.queue import Proposal, TrialQueue, search_queue
from gansearch.search.remaining import Remaining, TimeLeft

PARTS = (0.2, 0.4, 0.6, 0.8, 0.9)


class Asked(NamedTuple):
    """The answer at a row.

    Args:
        part: The part of the driver's time that is over.
        truth: The seconds until the driver's last row.
        said: The estimate, None where nothing is known yet.
    """

    part: float
    truth: float
    said: TimeLeft | None

    @property
    def ratio(self) -> float:
        return math.nan if self.said is None else self.said.middle / self.truth

    @property
    def is_covered(self) -> bool:
        return self.said is not None and self.said.low <= self.truth <= self.said.high


def last_driver(rows: Sequence[Row]) -> int:
    """Returns the index of the first row of the last driver.

    It lies between the last evaluation on another node and the first on the last node, at the longest break.
    """
    evals = [(index, row) for index, row in enumerate(rows) if isinstance(row, Eval)]
    others = [index for index, row in evals if row.node != evals[-1][1].node]
    if not others:
        return 0
    first = next(index for index, _ in evals if index > others[-1])
    times = [seconds_of(row) for row in rows]
    return max(range(others[-1] + 1, first + 1), key=lambda index: times[index] - times[index - 1])


def slots_of(rows: Sequence[Row]) -> int:
    """Returns how many trials were at work at once."""
    at_work: set[str] = set()
    most = 0
    for row in rows:
        held = isinstance(row, End) or (isinstance(row, Decision) and row.verdict != "goes on")
        at_work = at_work - {row.trial_id} if held else at_work | {row.trial_id}
        most = max(most, len(at_work))
    return most


def queue_of(plan: Plan, ledger: Ledger, rows: Sequence[Row]) -> TrialQueue:
    """Returns the queue of a driver that has written `rows`."""
    if not any(isinstance(row, Start) and row.relation == "final" for row in rows):
        return search_queue(plan, ledger)
    starts = [row for row in rows if isinstance(row, Start)]
    unfinished = [trial for trial in ledger.values() if trial.is_final and trial.end is None]
    return TrialQueue(unfinished, [Proposal(row.params, "final", row.seed, row.parent, row.relation) for row in starts])


def replayed(directory: RunDir) -> list[Asked]:
    """Returns the answers at all rows of the last driver of a run."""
    loaded = load(directory)
    plan, rows = loaded.plan, loaded.ledger.rows
    first = last_driver(rows)
    ledger, own = Ledger(rows[:first]), rows[first:]
    queue = queue_of(plan, ledger, own)
    began, ended = seconds_of(own[0]), seconds_of(own[-1])
    remaining = Remaining(plan, ledger, queue, slots_of(own), Manifest.load(directory).gpus_per_trial, began)
    found = []
    for row in own:
        while queue.unfinished:
            queue.unfinished.popleft()  # the driver hands them out before its first row
        if isinstance(row, Start):
            queue.next_proposal()
        ledger.add(row)
        now = seconds_of(row)
        if now < ended:
            found.append(Asked((now - began) / (ended - began), ended - now, remaining.estimate(now)))
    return found


def factor(ratio: float) -> float:
    return math.inf if not ratio > 0 else max(ratio, 1 / ratio)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    heads = [f"{part:.0%}" for part in PARTS]
    print("| run | rows | seconds | " + " | ".join(heads) + " | worst | covered |")
    print("|---" * (5 + len(PARTS)) + "|")
    factors: list[list[float]] = []
    for path in parser.parse_args().runs:
        asked = replayed(RunDir(path))
        at = [next(one for one in asked if one.part >= part) for part in PARTS]
        later = [one for one in asked if PARTS[0] <= one.part <= PARTS[-1]] or at
        worst = max((one.ratio for one in later), key=factor)
        factors.append([*(factor(one.ratio) for one in at), factor(worst)])
        cells = [f"{one.ratio:.2f}" for one in at]
        covered = sum(one.is_covered for one in later) / len(later)
        seconds = asked[0].truth / (1 - asked[0].part)
        print(f"| {path.name} | {len(asked)} | {seconds:.0f} | {' | '.join(cells)} | {worst:.2f} | {covered:.0%} |")
    medians = [f"{median(column):.2f}" for column in zip(*factors, strict=True)]
    print(f"| median of the error factor | | | {' | '.join(medians)} | |")


if __name__ == "__main__":
    main()
