"""Training steps against the loops that people run today, in images a second.

    python -m benchmarks.steps [--kinds dcgan sagan wgan-gp] [--rounds 5] [--threads 2] [--steps 20] [--ray]

Three GANs of 3 x 32 x 32 images, batch 64, 64 features: a DCGAN, a SAGAN with attention at 16 x 16 and the hinge loss,
and a DCGAN with gradient penalty. `plain` is a loop in the manner of PyTorch's DCGAN example (`benchmarks/plain.py`);
with `--ray` the training function of Ray Tune's own GAN example plays as well, on the same networks. Sides alternate in
one process; a ratio is that of one round. There are more images than the rounds take: where a DataLoader begins a new
pass over few images, its workers start anew, and their forks slow down the other sides as well.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from benchmarks.plain import PlainLoop
from benchmarks.spread import tell
from gansearch.config import TrialConfig
from gansearch.models.base import ImageShape
from gansearch.training.build import best_device, build_players, check
from gansearch.training.loop import Trainer

BATCH, SIZE, IMAGES = 64, 32, 12800
KINDS: dict[str, dict[str, object]] = {
    "dcgan": {},
    "sagan": {"model.name": "sagan", "model.attention_at": 16, "loss.name": "hinge"},
    "wgan-gp": {"loss.name": "wgan-gp"},
}
SIDES = {
    "float32": {"train.compile": "never"},
    "bf16": {"train.compile": "never", "train.precision": "bf16"},
    "bf16, compiled": {"train.compile": "always", "train.precision": "bf16"},
}

Train = Callable[[int], object]


def random_images(folder: Path) -> Tensor:
    """Noise, uint8 (IMAGES, 3, SIZE, SIZE), and the same as a folder of PNG files."""
    pixels = torch.randint(0, 256, (IMAGES, 3, SIZE, SIZE), dtype=torch.uint8)
    (folder / "noise").mkdir()
    for number, image in enumerate(pixels):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / "noise" / f"{number}.png")
    return pixels


def plain(config: TrialConfig, pixels: Tensor) -> Train:
    G, D = build_players(config, ImageShape(3, SIZE), torch.device("cpu"))
    layout = torch.contiguous_format
    return PlainLoop(config, G.to(memory_format=layout), D.to(memory_format=layout), pixels, best_device()).train


def sides(kind: str, pixels: Tensor, folder: Path) -> dict[str, Train]:
    """What trains so many D steps, by name, the plain loop first."""
    images = {"data.name": "image_folder", "data.dir": str(folder), "train.batch": BATCH}
    config = check(TrialConfig().override({**images, **KINDS[kind]}))
    ours = {name: Trainer(config.override(changes), best_device()).train for name, changes in SIDES.items()}
    return {"plain": plain(config, pixels), **ours}


def rates(trains: dict[str, Train], steps: int, rounds: int) -> dict[str, list[float]]:
    """Images a second of every side in every round, after one that does not count."""
    found: dict[str, list[float]] = {name: [] for name in trains}
    for number in range(rounds + 1):
        for name, train in trains.items():
            start = time.perf_counter()
            train(steps)
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if number:
                found[name].append(steps * BATCH / (time.perf_counter() - start))
    return found


def compare(kind: str, trains: dict[str, Train], steps: int, rounds: int) -> None:
    found = rates(trains, steps, rounds)
    base, *others = found
    for name in found:
        print(f"{kind}, {name}: {statistics.median(found[name]):.0f} images/s")
    for name in others:
        tell(f"{kind}, {name} / {base}", [a / b for a, b in zip(found[name], found[base], strict=True)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=list(KINDS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--steps", type=int, default=20, help="D steps of a side in a round")
    parser.add_argument("--ray", action="store_true", help="with the training function of Ray's example, on the DCGAN")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"{arguments.threads} threads, torch {torch.__version__}")
    with tempfile.TemporaryDirectory() as name:
        pixels = random_images(Path(name))
        for kind in arguments.kinds:
            trains = sides(kind, pixels, Path(name))
            compare(kind, trains, arguments.steps, arguments.rounds)
        if arguments.ray:
            from benchmarks.ray_example import ray_example

            trains = sides("dcgan", pixels, Path(name))
            with ray_example(pixels) as train:
                compare("dcgan", {"Ray's example": train, "bf16": trains["bf16"]}, arguments.steps, arguments.rounds)


if __name__ == "__main__":
    main()
