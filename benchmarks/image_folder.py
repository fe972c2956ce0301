"""Measures what the cache of decoded images saves: the first start on an image folder against a second one.

    python -m benchmarks.image_folder [--dir DIR] [--images 5000] [--resolution 64] [--rounds 3]

Both sides alternate, each in a process of its own; the first has an empty cache. Without --dir: JPEGs of 320 x 240,
made in a temporary folder.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.spread import report

ROOT = Path(__file__).parent.parent

START = """
import sys, time
from gansearch.data.image_folder import ImageFolder

start = time.perf_counter()
images = ImageFolder(dir=sys.argv[1], resolution=int(sys.argv[2])).load("train")
images.fingerprint
print(len(images), time.perf_counter() - start)
"""


def make(folder: Path, images: int) -> None:
    """Writes smooth coloured noise into ten class folders, as JPEGs about as large as those of photographs."""
    rng = np.random.default_rng(0)
    for number in range(images):
        path = folder / f"class{number % 10}" / f"{number:05}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8))
        coarse.resize((320, 240), Image.Resampling.BICUBIC).save(path, quality=90)


def start(folder: Path, resolution: int, cache: Path) -> tuple[int, float]:
    """Returns how many images a start finds in `folder`, and the seconds until they and their fingerprint are there."""
    done = subprocess.run(
        [sys.executable, "-c", START, folder, str(resolution)],
        env={**os.environ, "GANSEARCH_CACHE": str(cache)},
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    count, seconds = done.stdout.split()
    return int(count), float(seconds)


def compare(folder: Path, resolution: int, rounds: int) -> None:
    ratios = []
    for number in range(rounds):
        with tempfile.TemporaryDirectory() as cache:
            count, first = start(folder, resolution, Path(cache))
            _, second = start(folder, resolution, Path(cache))
        ratios.append(second / first)
        print(
            f"round {number}: {count:,} images, first start {first:.2f} s, second {second:.3f} s, "
            f"ratio {ratios[-1]:.4f}",
            flush=True,
        )
    report("ratio", ratios)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--dir", type=Path, help="a folder of images (default: one is made)")
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    if args.dir:
        compare(args.dir.absolute(), args.resolution, args.rounds)
        return
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), args.images)
        compare(Path(folder), args.resolution, args.rounds)


if __name__ == "__main__":
    main()
