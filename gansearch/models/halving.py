"""Convolutions 4 x 4 that halve maps and transposed ones that double them: the pair that small GANs are made of.

One is the other's gradient. With weights (S, L, 4, 4), stride 2 and padding 1, a large map (N, L, 2H, 2W) is halved to
a small one (N, S, H, W) and a small one doubled to a large one. In bfloat16 on a CPU oneDNN is slow at two of it, and
both are computed in another way here: `python -m benchmarks.halving` measures what that gains.
"""

from functools import lru_cache
from threading import get_ident
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from gansearch.derivatives import second_wanted

FEW_CHANNELS = 4
_SMALL_MAP = 8 * 8  # at 8 x 8 the product gains in a step on two threads, though not when timed by itself


class Halving(nn.Conv2d):
    """(N, L, 2H, 2W) to (N, S, H, W); odd maps are left to torch."""

    def __init__(self, cin: int, cout: int, *, bias: bool) -> None:
        super().__init__(cin, cout, 4, 2, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[2] % 2 or x.shape[3] % 2 or not _faster_here(x):
            return super().forward(x)
        bias = None if self.bias is None else self.bias.bfloat16()
        return _Halve.apply(x.bfloat16(), self.weight.bfloat16(), bias)


class Doubling(nn.ConvTranspose2d):
    """(N, S, H, W) to (N, L, 2H, 2W)."""

    def __init__(self, cin: int, cout: int, *, bias: bool) -> None:
        super().__init__(cin, cout, 4, 2, 1, bias=bias)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        if output_size or self.bias is not None or not _faster_here(x):
            return super().forward(x, output_size)
        return _Double.apply(x.bfloat16(), self.weight.bfloat16())


def halve(large: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The convolution."""
    return F.conv2d(large, weight, bias, 2, 1)


def double(small: Tensor, weight: Tensor) -> Tensor:
    """The transposed convolution.

    For few channels it is made of an ordinary one 3 x 3, which gives the four pixels of a position as channels: oneDNN
    computes 16 channels at once, so those of an image waste most of its work.
    """
    if weight.shape[1] > FEW_CHANNELS:
        return F.conv_transpose2d(small, weight, None, 2, 1)
    return torch.ops.gansearch.pixels(small, weight)


def weight_gradient(large: Tensor, small: Tensor, weight: Tensor) -> Tensor:
    """The gradient of the sum of `small * halve(large, weight)` by `weight`, which lends its shape and type."""
    if small.shape[2] * small.shape[3] <= _SMALL_MAP:
        return torch.ops.gansearch.product_of_patches(large, small)
    return torchs_weight_gradient(large, small, weight)


def torchs_weight_gradient(large: Tensor, small: Tensor, weight: Tensor) -> Tensor:
    """The same as torch computes it."""
    stride_padding_dilation, of_weight = ((2, 2), (1, 1), (1, 1)), (False, True, False)
    arguments = (small, large, weight, None, *stride_padding_dilation, False, (0, 0), 1, of_weight)
    return torch.ops.aten.convolution_backward(*arguments)[1]


def _pixels(small: Tensor, weight: Tensor) -> Tensor:
    """`double`: the kernel's element (j, l) for pixel (a, b) of a position is the weight's (a + 3 - 2j, b + 3 - 2l)."""
    elements = F.pad(weight, (1, 1, 1, 1)).unflatten(3, (3, 2)).unflatten(2, (3, 2)).flip(2, 4)
    kernel = elements.permute(1, 3, 5, 0, 2, 4).flatten(0, 2).contiguous(memory_format=torch.channels_last)
    return F.pixel_shuffle(F.conv2d(small, kernel, None, 1, 1), 2)


def _product_of_patches(large: Tensor, small: Tensor) -> Tensor:
    """`weight_gradient` as one product of matrices: positions of the small map by patches of the large one."""
    padded, patches = _workspace(large.shape, large.dtype, get_ident())
    padded[:, 1:-1, 1:-1] = large.permute(0, 2, 3, 1)
    patches.copy_(padded.unfold(1, 4, 2).unfold(2, 4, 2).permute(0, 1, 2, 4, 5, 3))
    positions = small.permute(0, 2, 3, 1).flatten(0, 2)
    product = positions.t() @ patches.flatten(3).flatten(0, 2)
    return product.view(small.shape[1], 4, 4, large.shape[1]).permute(0, 3, 1, 2)


@lru_cache(maxsize=8)
def _workspace(shape: torch.Size, dtype: torch.dtype, thread: int) -> tuple[Tensor, Tensor]:
    """Room for a map with its border of zeros and for its patches: written anew each time, but still in the caches."""
    count, channels, height, width = shape
    padded = torch.zeros(count, height + 2, width + 2, channels, dtype=dtype)
    return padded, torch.empty(count, height // 2, width // 2, 4, 4, channels, dtype=dtype)


# Operators of their own, so that compiled code calls them: inductor's loops for the same take several times as long.
_LIBRARY = torch.library.Library("gansearch", "DEF")
_LIBRARY.define("product_of_patches(Tensor large, Tensor small) -> Tensor")
_LIBRARY.define("pixels(Tensor small, Tensor weight) -> Tensor")
_LIBRARY.impl("product_of_patches", _product_of_patches, "CPU")
_LIBRARY.impl("pixels", _pixels, "CPU")


@torch.library.register_fake("gansearch::product_of_patches", lib=_LIBRARY)
def _shape_of_product(large: Tensor, small: Tensor) -> Tensor:
    return large.new_empty(small.shape[1], 4, 4, large.shape[1]).permute(0, 3, 1, 2)


@torch.library.register_fake("gansearch::pixels", lib=_LIBRARY)
def _shape_of_pixels(small: Tensor, weight: Tensor) -> Tensor:
    count, _, height, width = small.shape
    return small.new_empty(count, 2 * height, 2 * width, weight.shape[1]).permute(0, 3, 1, 2)


class _Halve(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return halve(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (x, weight), (of_x, of_weight, of_bias) = ctx.saved_tensors, ctx.needs_input_grad
        return (
            double(grad, weight) if of_x else None,
            weight_gradient(x, grad, weight) if of_weight else None,
            grad.sum((0, 2, 3)) if of_bias else None,
        )


class _Double(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return double(x, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (x, weight), (of_x, of_weight) = ctx.saved_tensors, ctx.needs_input_grad
        return halve(grad, weight) if of_x else None, weight_gradient(grad, x, weight) if of_weight else None


def _faster_here(x: Tensor) -> bool:
    bfloat16 = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
    return x.device.type == "cpu" and bfloat16 and not second_wanted()
