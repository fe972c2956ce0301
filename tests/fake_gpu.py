"""A GPU that need not be there: fake tensors have no values, but refuse to mix devices."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

GPU = torch.device("cuda")


class GPUGenerator(torch.Generator):
    """Says that it is a GPU's, which a real one can't be without a GPU."""

    device = GPU


def move(net: nn.Module, fake: FakeTensorMode) -> None:
    """Moves what a net says it consists of to the GPU: what it keeps beside that stays behind and is found."""

    def moved(tensor: Tensor) -> Tensor:
        return fake.from_tensor(tensor.detach()).to(GPU)

    for part in net.modules():
        for name, parameter in part.named_parameters(recurse=False):
            part._parameters[name] = nn.Parameter(moved(parameter), requires_grad=parameter.requires_grad)
        for name, buffer in part.named_buffers(recurse=False):
            part._buffers[name] = moved(buffer)


@contextmanager
def autocasting() -> Iterator[None]:
    """Lets `torch.autocast("cuda")` work without a GPU: torch would warn and compute in float32."""
    with (
        patch("torch.cuda.amp.common.amp_definitely_not_available", return_value=False),
        patch("torch.cuda.is_bf16_supported", return_value=True),
    ):
        yield
