"""Compiled forward passes of G and D.

torch caches compiled code by the structure of a network, so that trials of one process with equal architectures share
it, and on disk (`TORCHINDUCTOR_CACHE_DIR`), where other processes find it. Learning rates, slopes and clipping
constants are no part of the key. A gradient penalty, which needs a second derivative, and whatever runs once an
evaluation use the networks themselves.
"""

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from gansearch.config import TrainConfig

Forward = Callable[..., Any]

PAYS_FROM_KIMG = {"cpu": 1000, "cuda": 1000}
"""The length from which a trial trains faster compiled by more than compiling takes with an empty cache."""

# The batch is small and shapes never change, so trying all kernels pays. CUDA graphs would hold G's images, which the
# steps of D and G share, in memory that the next forward pass overwrites.
_MODES: dict[str, dict[str, Any]] = {
    "cuda": {"mode": "max-autotune-no-cudagraphs"},
    "cpu": {"options": {"cpp_wrapper": True}},  # a pass is one call from Python; on a CPU Python can't run ahead
}
# Compiled variants of one code object (G's, D's): one for each architecture, type and set of needed gradients.
_CACHED_VARIANTS = 256  # torch's default is 8

_log = logging.getLogger(__name__)


def should_compile(train: TrainConfig, device: torch.device) -> bool:
    """Returns whether `train.compile` asks for compiled passes: always, or for a trial that is long enough."""
    if train.compile == "auto":
        return train.max_kimg >= PAYS_FROM_KIMG[device.type]
    return train.compile == "always"


def forwards(train: TrainConfig, nets: tuple[nn.Module, nn.Module], device: torch.device) -> tuple[Forward, Forward]:
    """Returns the forward passes of G and D: the networks themselves, or compiled where `train.compile` asks for it.

    Where the compiler is missing or fails, at the first call, one warning is logged and the networks run uncompiled.
    """
    if not should_compile(train, device):
        return nets
    from torch._dynamo.exc import TorchDynamoException  # the import takes a second, which most trials don't need

    torch._dynamo.config.recompile_limit = _CACHED_VARIANTS
    torch._dynamo.config.accumulated_recompile_limit = _CACHED_VARIANTS
    works = True

    def compiled(net: nn.Module) -> Forward:
        fast = torch.compile(net, dynamic=False, **_MODES[device.type])

        def forward(*inputs: Any) -> Any:
            nonlocal works
            if works:
                try:
                    return fast(*inputs)
                except TorchDynamoException as error:
                    works = False
                    _log.warning(
                        "the compiler failed (%s); the trial runs uncompiled: install a C++ compiler (g++), or set "
                        "train.compile=never",
                        str(error).partition("\n")[0],  # the rest is advice on how to debug the compiler
                    )
            return net(*inputs)

        return forward

    G, D = nets
    return compiled(G), compiled(D)
