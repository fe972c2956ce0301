"""Compares training steps with the loops that people run today, in images per second.

    python -m benchmarks.steps [--kinds dcgan sagan wgan-gp] [--rounds 9] [--threads 2] [--steps 20] [--ray]

Three GANs of 3 x 32 x 32 images, batch 64, 64 features: a DCGAN, a SAGAN with attention at 16 x 16 and the hinge loss,
and a DCGAN with gradient penalty. `plain` is a loop in the manner of PyTorch's DCGAN example (`benchmarks/plain.py`);
with `--ray` the training function of Ray Tune's own GAN example runs as well, on the same networks. Every side is a
separate process (Ray's example: this one) with `--threads` threads, and one side trains at a time; a ratio compares the
turns of one round. There are more images than the rounds take, so that the plain loop's DataLoader does not start
workers anew within a round; Ray's example does so at every fifth step.
"""

import argparse
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from benchmarks.launches import torchs_spectral_norm
from benchmarks.plain import PlainLoop
from benchmarks.spread import report
from gansearch.config import TrialConfig
from gansearch.data.loader import load_images
from gansearch.device import best_device
from gansearch.models.base import ImageShape
from gansearch.training.build import build_networks
from gansearch.training.feasibility import check
from gansearch.training.loop import Trainer

BATCH, SIZE = 64, 32
KINDS: dict[str, dict[str, object]] = {
    "dcgan": {},
    "sagan": {"model.name": "sagan", "model.attention_at": 16, "loss.name": "hinge"},
    "wgan-gp": {"loss.name": "wgan-gp"},
}
OURS: dict[str, dict[str, object]] = {
    "float32": {"train.compile": "never", "train.precision": "float32"},
    "bf16": {"train.compile": "never", "train.precision": "bf16"},
    "bf16, compiled": {"train.compile": "always", "train.precision": "bf16"},
}
PLAIN, RAY = "plain", "Ray's example"

Train = Callable[[int], object]
Turn = Callable[[int], float]  # makes this many D steps and returns the images per second


def random_images(folder: Path, count: int = 1280) -> None:
    """Writes noise as a folder of PNG files of 3 x SIZE x SIZE."""
    (folder / "noise").mkdir()
    for number, pixels in enumerate(torch.randint(0, 256, (count, SIZE, SIZE, 3), dtype=torch.uint8)):
        Image.fromarray(pixels.numpy()).save(folder / "noise" / f"{number}.png")


def plain(config: TrialConfig, pixels: Tensor) -> Train:
    with torchs_spectral_norm():  # it iterates in every pass, so the loop need not know of it
        G, D = build_networks(config, ImageShape(3, SIZE), torch.device("cpu"))
    return PlainLoop(config, G, D, pixels, best_device()).train


def config_of(kind: str, folder: str) -> TrialConfig:
    images = {"data.name": "image_folder", "data.dir": folder, "train.batch": BATCH}
    return check(TrialConfig().override({**images, **KINDS[kind]}))


def timed(train: Train) -> Turn:
    def turn(steps: int) -> float:
        start = time.perf_counter()
        train(steps)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return steps * BATCH / (time.perf_counter() - start)

    return turn


def side(name: str, config: TrialConfig, threads: int, turns: Connection) -> None:
    """Runs one side in a process: receives a number of D steps, trains, and sends the rate. A 0 ends the process."""
    torch.set_num_threads(threads)
    if name == PLAIN:
        turn = timed(plain(config, load_images(config.data, "train").pixels))
    else:
        turn = timed(Trainer(check(config.override(OURS[name])), best_device()).train)
    while steps := turns.recv():
        turns.send(turn(steps))


@contextmanager
def elsewhere(names: list[str], config: TrialConfig, threads: int) -> Iterator[dict[str, Turn]]:
    """Yields the turns of sides that run in separate processes; a process waits between its turns."""
    spawn = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for name in names:
        ours, theirs = spawn.Pipe()
        pipes.append(ours)
        processes.append(spawn.Process(target=side, args=(name, config, threads, theirs)))
        processes[-1].start()
        theirs.close()

    def turn_of(pipe: Connection) -> Turn:
        def turn(steps: int) -> float:
            pipe.send(steps)
            return pipe.recv()

        return turn

    try:
        yield dict(zip(names, map(turn_of, pipes), strict=True))
        for pipe, process in zip(pipes, processes, strict=True):
            pipe.send(0)
            process.join(60)
    finally:
        for process in processes:
            process.kill()


def compare(kind: str, turns: dict[str, Turn], steps: int, rounds: int) -> None:
    """Prints the images per second of every side, and the ratios of the other sides to the first one."""
    found: dict[str, list[float]] = {name: [] for name in turns}
    for number in range(rounds + 1):
        for name, turn in turns.items():
            rate = turn(steps)
            if number:  # the first round is for warming up
                found[name].append(rate)
    base, *others = found
    for name in found:
        print(f"{kind}, {name}: {statistics.median(found[name]):.0f} images/s")
    for name in others:
        report(f"{kind}, {name} / {base}", [a / b for a, b in zip(found[name], found[base], strict=True)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=list(KINDS))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--steps", type=int, default=20, help="D steps per side and round (--ray: a multiple of 5)")
    parser.add_argument("--ray", action="store_true", help="also Ray's example, on the DCGAN")
    arguments = parser.parse_args()
    if arguments.ray and arguments.steps % 5:
        parser.error("Ray's example makes five steps per call: --steps has to be a multiple of 5")
    print(f"{arguments.threads} threads, torch {torch.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        random_images(Path(folder), BATCH * arguments.steps * (arguments.rounds + 2))
        for kind in arguments.kinds:
            with elsewhere([PLAIN, *OURS], config_of(kind, folder), arguments.threads) as turns:
                compare(kind, turns, arguments.steps, arguments.rounds)
        if arguments.ray:
            from benchmarks.ray_example import ray_example

            torch.set_num_threads(arguments.threads)
            config = config_of("dcgan", folder)
            pixels = load_images(config.data, "train").pixels
            with ray_example(config, pixels) as train, elsewhere(["bf16"], config, arguments.threads) as turns:
                compare("dcgan", {RAY: timed(train), **turns}, arguments.steps, arguments.rounds)


if __name__ == "__main__":
    main()
