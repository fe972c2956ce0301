"""Leaky ReLU whose second derivative is known to be zero: a gradient penalty then spends no time on it."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional as F

from gansearch.derivatives import second_wanted


class LeakyReLU(nn.Module):
    """max(x, slope * x); with `slope` 0 ReLU. Eager, it overwrites x.

    The slope is a tensor on the module's device, so that compiled code is not made anew for another one.
    """

    _slope: Tensor

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.negative_slope = slope
        self.register_buffer("_slope", torch.tensor(slope), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if torch.compiler.is_compiling():
            # Without a mask: inductor would keep one for the backward pass, and is slow at writing and reading it.
            size = x.abs()
            return 0.5 * (x + size) + self._slope.to(x.dtype) * (0.5 * (x - size))
        return leaky_relu_(x, self.negative_slope)

    def extra_repr(self) -> str:
        return f"{self.negative_slope:g}"


def leaky_relu_(x: Tensor, slope: float) -> Tensor:
    """Leaky ReLU in place.

    Of torch's own the second derivative is a tensor of zeros, and a gradient penalty's backward pass carries them
    through all layers before: a third of its time. Where a second derivative is wanted, no gradient flows there.
    """
    return _LeakyReLU.apply(x, slope) if x.requires_grad and second_wanted() else F.leaky_relu_(x, slope)


class _LeakyReLU(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: float) -> Tensor:
        y = F.leaky_relu_(x, slope)
        ctx.mark_dirty(x)
        ctx.save_for_backward(y)
        ctx.set_materialize_grads(False)
        ctx.slope = slope
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None) -> tuple[Tensor | None, None]:
        (y,) = ctx.saved_tensors
        return None if grad is None else _Slope.apply(grad, y, ctx.slope), None


class _Slope(Function):
    """A gradient times the slope at y, by which it can't be derived."""

    @staticmethod
    def forward(ctx: Any, grad: Tensor, y: Tensor, slope: float) -> Tensor:
        ctx.save_for_backward(y)
        ctx.set_materialize_grads(False)
        ctx.slope = slope
        # From the result, which has the sign of what was overwritten.
        return torch.ops.aten.leaky_relu_backward(grad, y, slope, True)

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None) -> tuple[Tensor | None, None, None]:
        (y,) = ctx.saved_tensors
        return None if grad is None else _Slope.apply(grad, y, ctx.slope), None, None
