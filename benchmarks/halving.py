"""What `gansearch.models.halving` gains in bfloat16 on a CPU: seconds of torch's way over seconds of ours.

    python -m benchmarks.halving [--rounds 15] [--threads 2] [--features 64]

The layers of a DCGAN of 3 x 32 x 32 images, batch 64; sides alternate. Between two measurements a tensor larger than
the caches is written, as in a step, where each layer finds them full of the others'.
"""

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.spread import tell
from gansearch.models.halving import FEW_CHANNELS, double, torchs_weight_gradient, weight_gradient

BATCH = 64


def maps(channels: int, size: int) -> Tensor:
    return torch.randn(BATCH, channels, size, size).bfloat16().to(memory_format=torch.channels_last)


def seconds(work: Callable[[], object], others: Tensor) -> float:
    others.add_(1)
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def pair(large: Tensor, small: Tensor, weight: Tensor) -> tuple[str, Callable[[], object], Callable[[], object]]:
    """What is compared for a layer, torch's way and ours."""
    shape = f"{weight.shape[1]} x {large.shape[2]} x {large.shape[2]}"
    if weight.shape[1] <= FEW_CHANNELS:
        return f"images {shape}", lambda: F.conv_transpose2d(small, weight, None, 2, 1), lambda: double(small, weight)
    maps_and_weight = large, small, weight
    name = f"weight gradient at {shape}"
    return name, lambda: torchs_weight_gradient(*maps_and_weight), lambda: weight_gradient(*maps_and_weight)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--features", type=int, default=64)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"{arguments.threads} threads, torch {torch.__version__}")
    others = torch.zeros(2**24)
    width = arguments.features
    for cin, cout, size in ((3, width, 32), (width, 2 * width, 16), (2 * width, 4 * width, 8)):
        weight = torch.randn(cout, cin, 4, 4).bfloat16().to(memory_format=torch.channels_last)
        name, theirs, ours = pair(maps(cin, size), maps(cout, size // 2), weight)
        found = [seconds(theirs, others) / seconds(ours, others) for _ in range(arguments.rounds + 3)]
        tell(name, found[3:])


if __name__ == "__main__":
    main()
