"""Counts the kernels of one D step and one G step: a small GAN on a GPU waits for their launches, not for arithmetic.

    python -m benchmarks.launches [--compiled]

Each operation that torch dispatches to a device, but for views and allocations, is one kernel. It is counted on the
CPU, where the same operations are dispatched, but for attention: a GPU has one fused operation where a CPU has three. A
`_foreach` operation is one kernel where its lists have equal shapes, and else as many as it has tensors, as on a GPU.
The other side has torch's own spectral norm, which iterates in every forward pass, on the same networks.

With `--compiled` the forward and backward passes are compiled, and the kernels that inductor generates for them are
counted too; convolutions and products of matrices, which it calls from libraries, are not among them. It takes minutes.
`fails`: torch refuses the backward pass, since the vectors that it needs were overwritten by the next forward pass.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch._inductor import metrics
from torch._inductor.utils import fresh_cache
from torch.nn.utils.parametrizations import spectral_norm as of_torch
from torch.utils._python_dispatch import TorchDispatchMode

from gansearch import registry
from gansearch.config import TrialConfig
from gansearch.models.base import ImageShape
from gansearch.training.build import build_networks
from gansearch.training.ema import EMA
from gansearch.training.step import TrainState, d_step, g_step

BATCH, SHAPE = 64, ImageShape(3, 32)
NORMED = {"model.spectral_norm": True, "loss.name": "hinge"}
KINDS: dict[str, dict[str, Any]] = {
    "DCGAN": {},
    "DCGAN, spectral norm": {"model.spectral_norm": True},
    "DCGAN, spectral norm, hinge, attention": {**NORMED, "model.attention_at": 16},
    "SAGAN, hinge, attention": {"model.name": "sagan", "model.attention_at": 16, "loss.name": "hinge"},
    "ResNet, hinge": {"model.name": "resnet", "loss.name": "hinge"},
}
# Those that are no views by their schema, and start no kernel all the same.
_FREE = {"_unsafe_view", "_reshape_alias", "empty", "empty_like", "empty_strided", "new_empty", "is_same_size"}


class KernelCount(TorchDispatchMode):
    """Counts what is dispatched within the block, by the names of the operations."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        namespace, name = func.name().split("::")
        name = name.partition(".")[0]
        if namespace == "aten" and not func.is_view and name not in _FREE:
            self.counts[name] += _kernels(name, args)
        return func(*args, **(kwargs or {}))


def _kernels(name: str, args: Sequence[Any]) -> int:
    lists = [part for part in args if isinstance(part, list) and part and isinstance(part[0], Tensor)]
    if not name.startswith("_foreach") or len(lists) < 2:
        return 1
    fits = all(len({tensor.shape for tensor in tensors}) == 1 for tensors in zip(*lists, strict=True))
    return 1 if fits else len(lists[0])


@contextmanager
def torchs_spectral_norm() -> Iterator[None]:
    """Builds networks within the block with torch's spectral norm in place of gansearch's."""
    with patch("gansearch.models.blocks.spectral_norm", of_torch):
        yield


def turn_of(changes: dict[str, Any]) -> Callable[[], None]:
    """Returns a function that makes one D step and one G step of a new trial, and averages the generator."""
    config = registry.resolve(TrialConfig().override({**changes, "train.batch": BATCH, "train.precision": "float32"}))
    G, D = build_networks(config, SHAPE, torch.device("cpu"))
    state = TrainState.create(config, G, D, registry.build("loss", config.loss), torch.Generator())
    ema = EMA(G, 1.0)
    shape = (BATCH, SHAPE.channels, SHAPE.resolution, SHAPE.resolution)
    real = torch.zeros(shape).contiguous(memory_format=torch.channels_last)
    z = torch.randn(BATCH, registry.build("model", config.model).z_dim)

    def turn() -> None:
        fake = state.generate(z, None, for_g=True)
        d_step(state, real, None, fake)
        g_step(state, real, None, fake)
        ema.update(BATCH, BATCH)

    return turn


def kernels(changes: dict[str, Any]) -> int:
    """Returns how many kernels a turn of a trial that trains already starts."""
    turn = turn_of(changes)
    turn()
    with KernelCount() as mode:
        turn()
    return mode.counts.total()


def generated(changes: dict[str, Any]) -> int | str:
    """Returns how many kernels inductor generates for the passes of a turn, with an empty cache."""
    torch._dynamo.reset()
    metrics.reset()
    turn = turn_of({**changes, "train.compile": "always"})
    with fresh_cache():
        try:
            turn()
        except RuntimeError as error:
            if "modified by an inplace operation" not in str(error):
                raise
            return "fails"
    return metrics.generated_kernel_count


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compiled", action="store_true", help="count what inductor generates, too")
    sides: list[Callable[[dict[str, Any]], object]] = [kernels, generated]
    if not parser.parse_args().compiled:
        sides = [kernels]
    titles = ["", *(f"{side.__name__}{own}" for side in sides for own in (", torch's", ""))]
    print(" | ".join(titles))
    for kind, changes in KINDS.items():
        cells = []
        for side in sides:
            with torchs_spectral_norm():
                cells.append(str(side(changes)))
            cells.append(str(side(changes)))
        print(" | ".join([kind, *cells]), flush=True)


if __name__ == "__main__":
    main()
