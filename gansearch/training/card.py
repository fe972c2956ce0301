"""Looks at the GPU of a process before anything trains there: whether it computes, and what it has."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from gansearch.config import TrainConfig
from gansearch.device import best_precision, driver, float32_arithmetic, gpu, require_precision
from gansearch.errors import UserError, one_line
from gansearch.training.compiled import should_compile

_TOLERANCE = 0.01  # of the largest value: TF32 rounds to a thousandth, a faulty card is far off


@dataclass(frozen=True)
class Card:
    """A GPU that computes.

    Args:
        name: What it is.
        driver: The version of its driver.
        memory: Its bytes.
        free: How many of them are free.
        bf16: Whether it has units for bf16.
        fault: Why torch can't compile for it; None where it can, or where nobody asked.
    """

    name: str
    driver: str
    memory: int
    free: int
    bf16: bool
    fault: str | None = None

    def __str__(self) -> str:
        text = f"{self.name}, {self.driver}, {'bf16' if self.bf16 else 'no bf16'}"
        return text if self.fault is None else f"{text}, does not compile ({self.fault})"


def look(train: TrainConfig) -> Card:
    """Computes on the GPU of this process, as a trial with these options would, and describes the GPU.

    Raises:
        UserError: torch has no GPU, or it does not compute, or not in the precision that was asked for.
    """
    device = gpu()
    try:
        free, memory = torch.cuda.mem_get_info(device)
        with float32_arithmetic(tf32=train.precision == "tf32"):
            _compute(device)
        require_precision(train.precision, device)
        fault = _compiler_fault(device) if should_compile(train, device) else None
        name, bf16 = torch.cuda.get_device_name(device), best_precision(device) == "bf16"
    except (RuntimeError, torch.cuda.DeferredCudaCallError) as error:  # what CUDA and cuDNN raise
        raise UserError(f"the GPU does not compute ({one_line(error)}; {driver()}): repair it") from None
    return Card(name, driver(), memory, free, bf16, fault)


def _compute(device: torch.device) -> None:
    """Compares a convolution and its backward pass with those of the CPU; raises UserError where they differ."""
    rng = torch.Generator().manual_seed(0)
    inputs, weight = torch.randn(4, 8, 16, 16, generator=rng), torch.randn(16, 8, 4, 4, generator=rng)
    expected, found = (_convolved(inputs.to(where), weight.to(where)) for where in (torch.device("cpu"), device))
    if not torch.allclose(found, expected, rtol=0, atol=_TOLERANCE * expected.abs().max().item()):
        raise UserError(f"the GPU computes a convolution wrongly ({driver()}): don't use it")


def _convolved(inputs: Tensor, weight: Tensor) -> Tensor:
    """Returns the gradient of a function of a convolution, on the CPU."""
    weight.requires_grad_()
    output = F.conv2d(inputs.to(memory_format=torch.channels_last), weight, stride=2, padding=1)
    (grad,) = torch.autograd.grad(output.square().mean(), weight)
    return grad.cpu()


def _compiler_fault(device: torch.device) -> str | None:
    try:
        torch.compile(lambda x: x.sin() + 1)(torch.zeros(8, device=device))
    except Exception as error:  # noqa: BLE001 - a compiler of any kind fails in its own way; a trial goes on without
        return one_line(error)
    return None
