"""Leaky ReLU whose second derivative is known to be zero, so that a gradient penalty spends no time on it."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional as F


class LeakyReLU(nn.Module):
    """Computes max(x, slope * x); a slope of 0 is ReLU. Outside compiled code the result overwrites x.

    The second derivative of torch's own function is a tensor of zeros, which the backward pass of a gradient penalty
    carries through all earlier layers: a third of the time of that pass. With `twice_differentiable` no gradient flows
    where the second derivative is zero. Torch's own function is faster where one derivative is enough.
    """

    _slope: Tensor  # a tensor on the module's device, so that compiled code serves every slope

    def __init__(self, slope: float, *, twice_differentiable: bool = False) -> None:
        super().__init__()
        self.negative_slope, self.twice_differentiable = slope, twice_differentiable
        self.register_buffer("_slope", torch.tensor(slope), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if torch.compiler.is_compiling():
            # Without a mask: inductor would store one for the backward pass, and is slow at writing and reading it.
            size = x.abs()
            return 0.5 * (x + size) + self._slope.to(x.dtype) * (0.5 * (x - size))
        if self.twice_differentiable and x.requires_grad:
            return _LeakyReLU.apply(x, self.negative_slope)
        return F.leaky_relu_(x, self.negative_slope)

    def extra_repr(self) -> str:
        return f"{self.negative_slope:g}"


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
    """A gradient times the slope at y; differentiable by the gradient, not by y."""

    @staticmethod
    def forward(ctx: Any, grad: Tensor, y: Tensor, slope: float) -> Tensor:
        ctx.save_for_backward(y)
        ctx.set_materialize_grads(False)
        ctx.slope = slope
        # y has the sign of the input that it has overwritten.
        return torch.ops.aten.leaky_relu_backward(grad, y, slope, True)

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None) -> tuple[Tensor | None, None, None]:
        (y,) = ctx.saved_tensors
        return None if grad is None else _Slope.apply(grad, y, ctx.slope), None, None
