"""Measures where the time of a trial goes, and what share of the machine's matrix peak the steps reach.

    python -m benchmarks.profile [--recipe dcgan] [--threads N] [--evaluations 5] [--set OPTION=VALUE ...]

The time of a stage does not include the stages inside it. The backward pass of the penalty runs separately, right after
the forward pass, so that it counts for the penalty; the gradients are the same sums. The peak is the best of a matrix
product and a convolution. The first evaluation does not count.
"""

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch.optim import Adam
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from benchmarks.of_recipe import add_arguments, prepare
from benchmarks.spread import report
from gansearch.config import TrialConfig
from gansearch.data.loader import Batches
from gansearch.device import best_device
from gansearch.metrics.scorer import Scorer
from gansearch.training import loop
from gansearch.training.artifacts.writer import Artifacts
from gansearch.training.checkpoint import CheckpointDir
from gansearch.training.ema import EMA
from gansearch.training.loop import Trainer, evaluate_next
from gansearch.training.step import TrainState

STAGES: list[tuple[Any, str, str]] = [
    (Batches, "next", "data"),
    (TrainState, "generate", "G"),
    (loop, "g_step", "G"),
    (loop, "d_step", "D"),
    (Adam, "step", "optimizer"),
    (EMA, "update", "EMA"),
    (Scorer, "fid", "FID"),
    (Artifacts, "record", "artifacts"),
    (Trainer, "save", "checkpoint"),
]


def wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


class Stages:
    """Seconds by stage, without the seconds of the stages inside a stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._inner = [0.0]

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        wait()
        start = time.perf_counter()
        self._inner.append(0.0)
        yield
        wait()
        spent = time.perf_counter() - start
        self.seconds[name] += spent - self._inner.pop()
        self._inner[-1] += spent

    def timed(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with self.stage(name):
                return function(*args, **kwargs)

        return wrapper

    @contextmanager
    def installed(self, trainer: Trainer) -> Iterator[None]:
        """Times the stages of a trial within the block, and the penalty together with the penalty's backward pass."""
        loss = type(trainer._state.loss)
        penalty, step, clear = loss.penalty, Adam.step, Adam.zero_grad

        def whole(*args: Any) -> None:
            with self.stage("penalty"):
                value = penalty(*args)
                if value is not None:
                    with torch.autocast(value.device.type, enabled=False):  # as in `d_step`
                        value.backward()

        def step_and_clear(optimizer: Adam) -> None:
            step(optimizer)
            clear(optimizer, set_to_none=True)

        with ExitStack() as stack:
            # Gradients are cleared after a step, not between the penalty and the rest of the loss.
            stack.enter_context(patch.object(Adam, "step", step_and_clear))
            for owner, attribute, name in STAGES:
                timed = self.timed(getattr(owner, attribute), name)
                stack.enter_context(patch.object(owner, attribute, timed))
            stack.enter_context(patch.object(Adam, "zero_grad", lambda optimizer, set_to_none=True: None))
            stack.enter_context(patch.object(loss, "penalty", whole))
            yield


class Operations(TorchDispatchMode):
    """Counts the FLOP of products and convolutions. torch's own counter does not handle gradients of gradients."""

    total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        count = flop_registry.get(func.overloadpacket)
        if count is not None:
            self.total += count(*args, **(kwargs or {}), out_val=out)
        return out


def peak(dtype: torch.dtype, device: torch.device) -> float:
    """Returns the highest FLOP per second of a product of 2,048 x 2,048 matrices and a convolution of 256 maps."""
    matrix = torch.randn(2048, 2048, dtype=dtype, device=device)
    layout = torch.channels_last
    maps = torch.randn(64, 256, 16, 16, dtype=dtype, device=device).to(memory_format=layout)
    weight = torch.randn(256, 256, 3, 3, dtype=dtype, device=device).to(memory_format=layout)
    tries = (lambda: matrix @ matrix, 2 * 2048**3), (lambda: torch.conv2d(maps, weight), 2 * 64 * 14**2 * 256**2 * 9)
    best = 0.0
    for work, operations in tries:
        for _ in range(6):
            wait()
            start = time.perf_counter()
            work()
            wait()
            best = max(best, operations / (time.perf_counter() - start))
    return best


def profile(config: TrialConfig, device: torch.device, evaluations: int) -> None:
    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        trainer, checkpoints = Trainer(config, device), CheckpointDir(folder)
        artifacts = Artifacts(folder, config.artifacts)
        for _ in range(evaluations + 1):
            stages = Stages()
            with stages.installed(trainer), stages.stage("other"):
                evaluate_next(trainer, checkpoints, artifacts)
            rounds.append(stages.seconds)
    for name in sorted(rounds[-1], key=rounds[-1].__getitem__, reverse=True):
        report(f"share of {name}", [seconds[name] / sum(seconds.values()) for seconds in rounds[1:]])
    rates = [row.images_per_second for row in trainer.evaluations[1:]]
    steps = 4 * config.optim.d_steps
    with Operations() as counted:
        trainer.train(steps)
    operations = counted.total / (steps * config.train.batch)
    print(f"{trainer.config.train.precision}, {operations / 1e9:.3f} GFLOP an image")
    report("images/s of the steps", rates)
    for dtype in (torch.bfloat16, torch.float32):
        most = peak(dtype, device)
        print(f"{str(dtype).removeprefix('torch.')} peak: {most / 1e9:.0f} GFLOP/s")
        report("  the steps reach of it", [operations * rate / most for rate in rates])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--evaluations", type=int, default=5)
    add_arguments(parser, threads=torch.get_num_threads())
    arguments = parser.parse_args()
    config = prepare(arguments)
    print(f"{arguments.recipe}, {arguments.threads} threads, torch {torch.__version__}")
    profile(config, best_device(), min(arguments.evaluations, config.train.evaluations - 1))


if __name__ == "__main__":
    main()
