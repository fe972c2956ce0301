"""The device that a process computes on, and the precision of its arithmetic."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor

from gansearch.errors import UserError, one_line
from gansearch.logs import warn_once

Precision = Literal["float32", "bf16"]

_DRIVER = Path("/proc/driver/nvidia/version")
_TF32_FROM = (8, 0)  # the compute capability of Ampere, the first cards with units for TF32
_cuda, _cudnn, _mkldnn = (
    cast(Any, torch.backends.cuda),
    cast(Any, torch.backends.cudnn),
    cast(Any, torch.backends.mkldnn),
)
_ON_GPU = (_cuda.matmul, _cudnn.conv, _cudnn.rnn)  # torch has other defaults for each of them
_ON_CPU = (_mkldnn.matmul, _mkldnn.conv, _mkldnn.rnn)


def gpu() -> torch.device:
    """Returns the GPU that this process was given; raises UserError where torch has none, with torch's reason."""
    try:
        torch.cuda.init()
    # torch built without CUDA fails an assertion; what CUDA refuses to a lazy call is no RuntimeError.
    except (RuntimeError, AssertionError, torch.cuda.DeferredCudaCallError) as error:
        reason = one_line(error).partition(". ")[0]
        raise UserError(
            f"torch {torch.__version__} finds no GPU here ({reason}; {driver()}): install a driver and a torch that "
            "fit together, as docs/howto/gpu.md has it"
        ) from None
    return torch.device("cuda")


def driver() -> str:
    """Returns the version of NVIDIA's driver on this machine, as the kernel tells it: `driver 580.95.05`."""
    try:
        found = re.search(r"Module\s+(?:for \S+\s+)?(\d[\d.]+)", _DRIVER.read_text())
    except OSError:
        return "no NVIDIA driver"
    return f"driver {found[1]}" if found else "an unknown driver"


def free_memory(device: torch.device) -> int:
    """Returns the bytes of a GPU that nobody uses, and at most those that this process may take."""
    free, total = torch.cuda.mem_get_info(device)
    return min(free, int(total * torch.cuda.get_per_process_memory_fraction(device)))


def is_out_of_memory(error: BaseException) -> bool:
    """Returns whether a GPU had too little memory, for torch's tensors or for a library or context beside them."""
    text = str(error)
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and ("out of memory" in text or "_ALLOC_FAILED" in text)
    )


def best_device() -> torch.device:
    """Returns a GPU where there is one, else the CPU; warns where there is one that torch can't use."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if _DRIVER.exists() and os.environ.get("CUDA_VISIBLE_DEVICES") != "":
        warn_once(f"on the CPU: torch {torch.__version__} can't use the GPU here ({driver()}), see docs/howto/gpu.md")
    return torch.device("cpu")


def best_precision(device: torch.device) -> Precision:
    """Returns bf16 where the device has arithmetic units for it, else float32: emulated, bf16 is slower."""
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    if device.type != "cpu" or not hasattr(torch.cpu, "get_capabilities"):
        return "float32"
    capabilities = torch.cpu.get_capabilities()
    return "bf16" if capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") else "float32"


def require_precision(precision: str, device: torch.device) -> None:
    """Raises UserError where a device would compute in another precision than the one that a run records.

    bf16 is emulated where a GPU has no units for it, which is slow. On a CPU it may be tried out.
    """
    if precision == "bf16" and device.type == "cuda" and best_precision(device) != "bf16":
        raise UserError("train.precision=bf16 needs a GPU with units for it (Ampere or newer): set it to float32")
    if precision == "tf32" and not (device.type == "cuda" and torch.cuda.get_device_capability(device) >= _TF32_FROM):
        raise UserError("train.precision=tf32 needs a GPU with units for TF32 (Ampere or newer): set it to float32")


class Halving:
    """Applies a function to a batch, in as large parts as the memory of the device allows, which are found by trial.

    It is for functions of single images, such as the passes of an evaluation.
    """

    def __init__(self) -> None:
        self._largest: int | None = None

    def __call__(self, function: Callable[..., Tensor], *inputs: Tensor | None) -> Tensor:
        """Returns the outputs for `inputs`, tensors (N, ...) or None; raises OutOfMemoryError where one is too many."""
        count = next(len(one) for one in inputs if one is not None)
        while True:
            size, parts = min(count, self._largest or count), list[Tensor]()
            try:
                parts = [
                    function(*(None if one is None else one[start : start + size] for one in inputs))
                    for start in range(0, count, size)
                ]
                return parts[0] if len(parts) == 1 else torch.cat(parts)
            except RuntimeError as error:
                if size == 1 or not is_out_of_memory(error):
                    raise
            del parts  # where there was no room to put them together
            self._largest = size // 2
            warn_once(f"out of GPU memory with {size} images of an evaluation at once: going on with {self._largest}")
            torch.cuda.empty_cache()


@contextmanager
def float32_arithmetic(*, tf32: bool) -> Iterator[None]:
    """Lets products of float32 numbers within the block be exact, or with `tf32` be rounded to TF32 on a GPU.

    Only torch's newer settings are used: it refuses to mix them with `allow_tf32` and `set_float32_matmul_precision`.
    """
    before = [operation.fp32_precision for operation in (*_ON_GPU, *_ON_CPU)]
    try:
        for operation in _ON_GPU:
            operation.fp32_precision = "tf32" if tf32 else "ieee"
        for operation in _ON_CPU:
            operation.fp32_precision = "ieee"
        yield
    finally:
        for operation, value in zip((*_ON_GPU, *_ON_CPU), before, strict=True):
            operation.fp32_precision = value
