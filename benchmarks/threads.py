"""Compares several trials at once, each on one core, with one trial on one core: do trials slow each other down?

    python -m benchmarks.threads [--trials 2] [--rounds 5] [--steps 30] [--precision bf16]

Every trial is a process with one thread, as in a search. A round measures the images per second of a trial alone, then
the sum over all trials at once. Trials have 64 features, images of 3 x 32 x 32 and batch 64.
"""

import argparse
import multiprocessing
import tempfile
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path
from queue import Queue

import torch

from benchmarks.spread import report
from benchmarks.steps import BATCH, random_images
from gansearch.config import TrialConfig
from gansearch.training.feasibility import check
from gansearch.training.loop import Trainer


def trial(
    folder: str, precision: str, alone: bool, rounds: int, steps: int, all_at: Barrier, found: "Queue[float]"
) -> None:
    """Trains `steps` D steps per turn; the first trial trains alone at every other turn."""
    torch.set_num_threads(1)
    images = {"data.name": "image_folder", "data.dir": folder, "train.batch": BATCH}
    config = check(TrialConfig().override({**images, "train.precision": precision, "train.compile": "never"}))
    trainer = Trainer(config, torch.device("cpu"))
    trainer.train(steps)
    for _ in range(rounds):
        for mine in (alone, True):
            all_at.wait()
            if mine:
                start = time.perf_counter()
                trainer.train(steps)
                found.put(steps * BATCH / (time.perf_counter() - start))
            all_at.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--precision", choices=("float32", "bf16"), default="bf16")
    arguments = parser.parse_args()
    trials, rounds = arguments.trials, arguments.rounds
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        random_images(Path(folder))
        all_at, found = spawn.Barrier(trials + 1), spawn.Queue()
        settings = folder, arguments.precision
        for number in range(trials):
            more = number == 0, rounds, arguments.steps, all_at, found
            spawn.Process(target=trial, args=(*settings, *more), daemon=True).start()
        singles: list[float] = []
        sums: list[float] = []
        for _ in range(rounds):
            for rates, count in ((singles, 1), (sums, trials)):
                all_at.wait()
                all_at.wait()
                rates.append(sum(found.get() for _ in range(count)))
    report("one trial, images/s", singles)
    report(f"{trials} at once, images/s together", sums)
    report("ratio", [a / b for a, b in zip(sums, singles, strict=True)])


if __name__ == "__main__":
    main()
