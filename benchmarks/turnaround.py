"""Measures the time from the end of a trial to the first step of the next one in the same actor, driver included.

    python -m benchmarks.turnaround [--space digits] [--trials 8] [--rounds 5] [--max-kimg 1.44]

Two sides alternate, one trial at a time. One is a search: Ray's part, the proposal, the rows, the networks, and the
animation of a trial that ASHA has stopped. The other is Ray Tune with a fresh actor for every trial, which imports
torch and does nothing. The figure of a round is the median over the round's trials.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

from ray import tune

from benchmarks.spread import report
from gansearch.run.manifest import Options, Plan
from gansearch.run.paths import RunDir
from gansearch.search.find_space import configure, find_space
from gansearch.search.ray import tuning
from gansearch.search.ray.session import ray_session
from gansearch.search.ray.trainable import GANTrial
from gansearch.search.search import Search

STEPS = 2
CLOCK = "clock.txt"  # a line per step: trial, from when, to when


def clock(folder: Path, trial_id: str, begun: float) -> None:
    with (folder / CLOCK).open("a") as lines:
        lines.write(f"{trial_id} {begun!r} {time.time()!r}\n")


def gaps(folder: Path) -> Iterator[float]:
    """Yields the seconds between the last step of a trial and the first step of the next one."""
    rows = [line.split() for line in (folder / CLOCK).read_text().splitlines()]
    for (trial, _, end), (other, begin, _) in pairwise(rows):
        if trial != other:
            yield float(begin) - float(end)


class Clocked(GANTrial):
    """The real trial, which also writes down the times of its steps."""

    def step(self) -> dict[str, Any]:
        begun = time.time()
        result = super().step()
        clock(Path(self._root).parent, Path(self._root).name, begun)
        return result


class Empty(tune.Trainable):
    """A trial that does nothing but write down the times of its steps."""

    def setup(self, config: dict[str, Any]) -> None:
        import torch  # noqa: F401 - as every trial of a GAN does

        self.made = 0

    def step(self) -> dict[str, Any]:
        begun = time.time()
        self.made += 1
        clock(Path(self.config["folder"]), self.trial_id, begun)
        return {"done": self.made == STEPS}


def search(space: str, trials: int, max_kimg: float, folder: Path) -> list[float]:
    options = Options(trials=trials, max_concurrent=1)
    plan = Plan(RunDir(folder), configure(find_space(space), {}, max_kimg), options)
    with patch.object(tuning, "GANTrial", Clocked):
        Search(plan, lambda row, ledger: None).start()
    return list(gaps(folder / "trials"))


def fresh(trials: int, folder: Path) -> list[float]:
    folder.mkdir()
    with ray_session(None):
        tune.Tuner(
            tune.with_resources(Empty, {"cpu": 1}),
            param_space={"folder": str(folder)},
            tune_config=tune.TuneConfig(num_samples=trials, max_concurrent_trials=1, reuse_actors=False),
            run_config=tune.RunConfig(name="tune", storage_path=str(folder), verbose=0),
        ).fit()
    return list(gaps(folder))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="digits")
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--max-kimg", type=float, default=1.44)
    arguments = parser.parse_args()
    trials, medians = arguments.trials, []
    with tempfile.TemporaryDirectory() as name:
        for number in range(arguments.rounds):
            folder = Path(name)
            found = (
                search(arguments.space, trials, arguments.max_kimg, folder / f"search-{number}"),
                fresh(trials, folder / f"fresh-{number}"),
            )
            medians.append([statistics.median(side) for side in found])
    ours, others = zip(*medians, strict=True)
    report("a search, seconds between two trials", ours)
    report("a fresh actor with torch, seconds between two trials", others)
    report("a search / a fresh actor", [a / b for a, b in zip(ours, others, strict=True)])


if __name__ == "__main__":
    main()
