"""Measures what the artifacts of a trial cost: the trial's time with all artifacts against its time with none.

    python -m benchmarks.artifacts [--recipe NAME] [--rounds 3] [--threads 1] [--max-kimg K] [--set OPTION=VALUE ...]

Both sides alternate in one process, checkpoints included. `share` is the time inside the artifacts over the trial's.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from benchmarks.of_recipe import add_arguments, prepare
from benchmarks.spread import report
from gansearch.config import ArtifactsConfig, TrialConfig
from gansearch.device import best_device
from gansearch.training.artifacts.base import Snapshot
from gansearch.training.artifacts.writer import Artifacts
from gansearch.training.checkpoint import CheckpointDir
from gansearch.training.loop import Trainer, run

MOST = 0.03


class Timed(Artifacts):
    """Artifacts that count the seconds spent in their own methods."""

    seconds = 0.0

    def record(self, snapshot: Snapshot) -> None:
        self._count(lambda: super(Timed, self).record(snapshot))

    def finish(self) -> None:
        self._count(super().finish)

    def _count(self, work: Callable[[], None]) -> None:
        start = time.perf_counter()
        work()
        self.seconds += time.perf_counter() - start


@dataclass(frozen=True)
class Cost:
    """Seconds of a trial: by the clock, of the CPU, and by the clock inside its artifacts."""

    wall: float
    cpu: float
    inside: float


def trial(config: TrialConfig, device: torch.device, flags: ArtifactsConfig) -> Cost:
    with tempfile.TemporaryDirectory() as folder:
        artifacts = Timed(folder, flags)
        trainer = Trainer(config, device)
        wall, cpu = time.perf_counter(), time.process_time()
        run(trainer, lambda _: None, CheckpointDir(folder), artifacts)
        return Cost(time.perf_counter() - wall, time.process_time() - cpu, artifacts.seconds)


def compare(config: TrialConfig, rounds: int) -> None:
    device = best_device()
    everything, nothing = ArtifactsConfig(), ArtifactsConfig(curves=False, samples=False, gif=False, attention=False)
    warm_up = config.override({"train.evaluations": 1}, max_kimg=config.train.batch * config.optim.d_steps / 1000)
    trial(warm_up, device, everything)
    pairs = []
    for number in range(rounds):
        sides = (everything, nothing) if number % 2 else (nothing, everything)
        costs = {flags: trial(config, device, flags) for flags in sides}
        pairs.append((costs[everything], costs[nothing]))
        print(f"round {number + 1}: with {costs[everything]}, without {costs[nothing]}", flush=True)
    report("clock, with / without", [own.wall / other.wall for own, other in pairs])
    report("CPU, with / without", [own.cpu / other.cpu for own, other in pairs])
    share = report("share of the artifacts", [own.inside / own.wall for own, _ in pairs])
    print(f"the share is {'below' if share < MOST else 'NOT BELOW'} {MOST:.0%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    add_arguments(parser, threads=1)
    arguments = parser.parse_args()
    config = prepare(arguments)
    compare(config, arguments.rounds)


if __name__ == "__main__":
    main()
