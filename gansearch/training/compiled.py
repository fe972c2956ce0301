"""Compiled passes of G and D, where a trial is long enough to pay for the compiler.

torch keeps compiled code by what a net is made of, so that trials of one process with equal architectures share it, and
on disk (`TORCHINDUCTOR_CACHE_DIR`), where other processes find it. Learning rates, slopes and clipping constants are no
part of it. What needs a second derivative (a gradient penalty) and what runs once an evaluation is not compiled.
"""

import os
import shutil
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from gansearch.config import TrainConfig
from gansearch.errors import UserError

Forward = Callable[..., Any]

# Trials from this length on win back, under `auto`, what compiling costs where nothing is in the cache yet.
PAYS_FROM_KIMG = {"cpu": 1000, "cuda": 1000}
# The batch is small and the shapes never change: worth trying all kernels. CUDA graphs would hold G's images, which
# D's and G's step share, in memory that the next pass overwrites.
_MODES: dict[str, dict[str, Any]] = {
    "cuda": {"mode": "max-autotune-no-cudagraphs"},
    "cpu": {"options": {"cpp_wrapper": True}},  # a pass is one call from Python; on a CPU Python can't run ahead
}
# Passes of a code object (G's, D's) that are kept: by architecture, type and what needs gradients; torch's own is 8.
_MOST_KEPT = 256


def should_compile(train: TrainConfig, device: torch.device) -> bool:
    """Whether a trial's passes are compiled; UserError where they have to be and there is no compiler."""
    if train.compile == "never":
        return False
    # Triton's code for a GPU has a part for the CPU as well.
    can = shutil.which(os.environ.get("CXX") or "g++") is not None
    if train.compile == "always":
        if not can:
            raise UserError("train.compile=always: there is no C++ compiler (g++); install one, or set it to never")
        return True
    return can and train.max_kimg >= PAYS_FROM_KIMG[device.type]


def forwards(train: TrainConfig, nets: tuple[nn.Module, nn.Module], device: torch.device) -> tuple[Forward, Forward]:
    """What is called in place of G and of D in a training step: the nets themselves, or compiled passes of them."""
    if not should_compile(train, device):
        return nets
    torch._dynamo.config.recompile_limit = _MOST_KEPT
    torch._dynamo.config.accumulated_recompile_limit = _MOST_KEPT
    G, D = (torch.compile(net, dynamic=False, **_MODES[device.type]) for net in nets)
    return G, D
