"""Measures how many images an FID needs to rank the generators of a run: FIDs of few images against FIDs of many.

    python -m benchmarks.fid_size RUN [--sizes 1024 2048 5000] [--full 50000] [--draws 5] [--set metrics.PATH=VALUE ...]

Generates `--full` images with the best generator of every trial of RUN and draws `--draws` subsets of each size from
them. Prints, for all generators and for the better half, which is harder to rank: Spearman's rank correlation with the
full FID; the regret (the full FID of the generator that the small FID ranks first, over the lowest full FID); the bias
(FID of the subset over the full FID); and the seconds of one FID: images, features and Frechet step.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from scipy.stats import spearmanr
from torch import Tensor

from benchmarks.spread import report
from gansearch import registry
from gansearch.data.base import to_uint8
from gansearch.data.loader import load_images
from gansearch.device import best_device
from gansearch.export import export, load_generator
from gansearch.metrics.extractors.base import Extractor, loaded
from gansearch.metrics.fid import Moments, frechet_distance
from gansearch.metrics.reference import reference_of
from gansearch.run.loaded import load
from gansearch.run.paths import RunDir
from gansearch.search.find_space import parse_settings
from gansearch.training.generator import LoadedGenerator

BATCH = 256


@dataclass(frozen=True)
class Generated:
    """The features (N, D) of all images of one generator, and the seconds per image."""

    features: Tensor
    seconds: float


def generators(run: RunDir, folder: Path) -> list[LoadedGenerator]:
    """Exports and loads the best generator of every trial that has one."""
    loaded = load(run)
    trials = [state.trial_id for state in loaded.ledger.values() if state.best]
    return [load_generator(export(loaded, trial_id, folder / trial_id)) for trial_id in trials]


def generate(generator: LoadedGenerator, extractor: Extractor, count: int, device: torch.device) -> Generated:
    module, start = loaded(extractor, device), time.perf_counter()
    batches = [min(BATCH, count - first) for first in range(0, count, BATCH)]
    features = [
        extractor.features(module, to_uint8(generator.sample(size, seed=number))) for number, size in enumerate(batches)
    ]
    return Generated(torch.cat(features), (time.perf_counter() - start) / count)


def compare(reference: Moments, made: Sequence[Generated], sizes: Sequence[int], draws: int) -> None:
    full = [frechet_distance(reference, Moments.of([one.features])) for one in made]
    better = sorted(range(len(full)), key=full.__getitem__)[: (len(full) + 1) // 2]
    print(f"full FIDs: {', '.join(f'{fid:.2f}' for fid in sorted(full))}")
    for size in sizes:
        found, seconds = [], []
        for draw in range(draws):
            rng = torch.Generator().manual_seed(draw)
            start = time.perf_counter()
            found.append([frechet_distance(reference, Moments.of([_some(one.features, size, rng)])) for one in made])
            seconds.append((time.perf_counter() - start) / len(made))
        cost = statistics.median(seconds) + size * statistics.fmean(one.seconds for one in made)
        print(f"-- {size:,} images: {cost:.2f} s an FID")
        for name, chosen in (("all", range(len(full))), ("better half", better)):
            known = [full[number] for number in chosen]
            rows = [[fids[number] for number in chosen] for fids in found]
            report(f"Spearman, {name} {len(known)}", [float(spearmanr(row, known).statistic) for row in rows])
        report("regret", [full[fids.index(min(fids))] / min(full) for fids in found])
        report("bias of the better half", [statistics.fmean(fids[n] / full[n] for n in better) for fids in found])


def _some(features: Tensor, size: int, rng: torch.Generator) -> Tensor:
    return features[torch.randperm(len(features), generator=rng)[:size]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1024, 2048, 5000])
    parser.add_argument("--full", type=int, default=50_000)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--set", action="append", default=[], metavar="metrics.PATH=VALUE")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = best_device()
    with tempfile.TemporaryDirectory() as folder:
        made = generators(RunDir(arguments.run), Path(folder))
        config = made[0].config.override(parse_settings(arguments.set, None))
        extractor: Extractor = registry.build("metrics", config.metrics)
        metrics = config.override({"metrics.num_fake": arguments.full, "metrics.chunk": None}).metrics
        images = load_images(config.data, metrics.split)
        (reference,) = reference_of(metrics, images, device).moments
        print(f"{len(made)} generators, {arguments.full:,} images each, {extractor.name}, {len(images):,} real images")
        compare(
            reference.to(device),
            [generate(one, extractor, arguments.full, device) for one in made],
            arguments.sizes,
            arguments.draws,
        )


if __name__ == "__main__":
    main()
