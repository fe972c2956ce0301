"""Compares the cost of an FID with torch-fidelity on the same cores: features per second, and the Frechet step.

    python -m benchmarks.fid [--images 64] [--rounds 5] [--threads 2] [--deviation 0]

Inception has random weights. The two sides alternate in one process. `--deviation 1024` also computes, on each side,
the FID of 1,024 blurred digits to 1,024 real ones and prints how far the two FIDs are apart.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from pytorch_fid.fid_score import calculate_frechet_distance
from threadpoolctl import threadpool_limits
from torch import Tensor
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.utils import create_feature_extractor
from torchvision.transforms.functional import gaussian_blur

from benchmarks.random_inception import write_weights
from benchmarks.spread import report
from gansearch import registry
from gansearch.cache import sha256
from gansearch.config import MetricsConfig
from gansearch.data.digits import Digits
from gansearch.metrics.extractors.base import Extractor, Precision, loaded
from gansearch.metrics.fid import Moments, frechet_distance

DIMENSIONS = 2048
THEIR_BATCH = 64  # torch-fidelity's default
CPU = torch.device("cpu")

Extract = Callable[[Tensor], Tensor]


def ours(weights: Path, precision: Precision) -> Extract:
    section = MetricsConfig(
        name="inception-v3-compat", weights=str(weights), weights_sha256=sha256(weights), precision=precision
    )
    extractor: Extractor = registry.build("metrics", section)
    module = loaded(extractor, CPU)
    return lambda images: torch.cat([extractor.features(module, part) for part in images.split(256)])


def theirs(weights: Path) -> Extract:
    module = create_feature_extractor(
        "inception-v3-compat", ["2048"], cuda=False, feature_extractor_weights_path=str(weights), verbose=False
    )

    @torch.no_grad()
    def extract(images: Tensor) -> Tensor:
        return torch.cat([module(part)[0] for part in images.split(THEIR_BATCH)])

    return extract


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def features(sides: dict[str, Extract], images: int, rounds: int) -> None:
    """Prints the images per second of each side, and the ratio to the first side."""
    pixels = torch.randint(0, 256, (images, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    for extract in sides.values():
        extract(pixels[:8])
    base, *others = sides
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, extract in sides.items():
            taken[name].append(seconds(partial(extract, pixels)))
    for name in sides:
        print(f"{name}: {images / min(taken[name]):.1f} images/s at best")
    for name in others:
        report(f"{name} / {base}, images per second", [a / b for a, b in zip(taken[base], taken[name], strict=True)])


def frechet(count: int, rounds: int) -> None:
    """Times the Frechet step of `count` images; the reference statistics of each side are computed before."""
    rng = torch.Generator().manual_seed(count)
    mix = torch.randn(DIMENSIONS, DIMENSIONS, generator=rng) / DIMENSIONS**0.5
    mix *= torch.logspace(0, -2, DIMENSIONS)
    real = torch.randn(5000, DIMENSIONS, generator=rng) @ mix
    fake = torch.randn(count, DIMENSIONS, generator=rng) @ mix * 1.1 + 0.01
    our_reference, their_reference = Moments.of([real]), fid_features_to_statistics(real)
    first, second = Moments.of([fake]), fid_features_to_statistics(fake)
    frechet_distance(our_reference, first)  # computes the square root of the covariance, once
    ratios = []
    for _ in range(rounds):
        mine = seconds(lambda: frechet_distance(our_reference, first))
        ratios.append(mine / seconds(lambda: fid_statistics_to_metric(their_reference, second, False)))
    report(f"Frechet step of {count:,} images, ours / torch-fidelity, seconds", ratios)
    pair = [side[key] for side in (their_reference, second) for key in ("mu", "sigma")]
    print(f"ours / pytorch-fid, once: {mine / seconds(lambda: calculate_frechet_distance(*pair)):.4f}")
    expected = fid_statistics_to_metric(their_reference, second, False)[KEY_METRIC_FID]
    print(f"relative difference to torch-fidelity: {frechet_distance(our_reference, first) / expected - 1:.1e}")


def deviation(sides: dict[str, Extract], count: int) -> None:
    """Prints the FID of blurred digits to real ones; each side extracts the features of both."""
    pixels = Digits().load("train").pixels
    pixels = torch.cat([pixels, pixels.flip(-1)])[: 2 * count].expand(-1, 3, -1, -1)
    real, fake = pixels[0::2], gaussian_blur(pixels[1::2], [13, 13], [1.0, 1.0])
    base: float | None = None
    for name, extract in sides.items():
        fid = frechet_distance(Moments.of([extract(real)]), Moments.of([extract(fake)]))
        base = base or fid
        print(f"{name}: FID of {len(fake):,} blurred digits {fid:.6f}, relative deviation {fid / base - 1:.1e}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--deviation", type=int, default=0, metavar="IMAGES")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    threadpool_limits(arguments.threads)  # NumPy's, which torch-fidelity computes with
    print(f"{arguments.threads} threads, torch {torch.__version__}, numpy {np.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        weights = write_weights(Path(folder) / "random.pth")
        sides = {
            "torch-fidelity": theirs(weights),
            "float32": ours(weights, "float32"),
            "bf16": ours(weights, "bf16"),
        }
        features(sides, arguments.images, arguments.rounds)
        if arguments.deviation:
            deviation(sides, arguments.deviation)
    for count in (1024, 5000):
        frechet(count, arguments.rounds)


if __name__ == "__main__":
    main()
