"""Leaky ReLU against torch's own, its derivatives, and what a gradient penalty is spared."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gansearch.models.leaky import LeakyReLU

SLOPES = [0.0, 0.2]


def x() -> Tensor:
    return torch.randn(5, 7, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("slope", SLOPES)
def test_it_equals_torchs(slope: float, dtype: torch.dtype, twice: bool) -> None:
    mine, theirs = (x().to(dtype).requires_grad_() for _ in range(2))
    act = LeakyReLU(slope, twice_differentiable=twice)
    y, expected = act(mine * 1), F.leaky_relu(theirs * 1, slope)
    assert torch.equal(y, expected) and torch.equal(act(x().to(dtype)), expected.detach())
    for out in (y, expected):
        out.square().sum().backward()
    assert torch.equal(mine.grad, theirs.grad)


@pytest.mark.parametrize("slope", SLOPES)
def test_its_derivatives_are_right(slope: float) -> None:
    act = LeakyReLU(slope, twice_differentiable=True)
    assert torch.autograd.gradcheck(lambda v: act(v * 1), x().double().requires_grad_())
    assert torch.autograd.gradgradcheck(lambda v: act(v.square()), x().double().requires_grad_())


@pytest.mark.parametrize("slope", SLOPES)
def test_compiled_it_is_the_same_function(slope: float) -> None:
    act = LeakyReLU(slope)
    compiled = torch.compile(act, backend="aot_eager", fullgraph=True)
    mine, theirs = (x().requires_grad_() for _ in range(2))
    y, expected = compiled(mine * 1), act(theirs * 1)
    torch.testing.assert_close(y, expected)
    for out in (y, expected):
        out.square().sum().backward()
    torch.testing.assert_close(mine.grad, theirs.grad)


def test_a_penalty_does_not_go_back_through_the_forward_pass() -> None:
    """Only weights have a part in the slope of a piecewise linear net; biases get no gradient, not one of zeros."""

    def biases(act: nn.Module) -> list[Tensor | None]:
        net = nn.Sequential(nn.Linear(7, 6), act, nn.Linear(6, 1))
        images = x().requires_grad_()
        (slope,) = torch.autograd.grad(net(images).sum(), images, create_graph=True)
        slope.square().sum().backward()
        return [layer.bias.grad for layer in (net[0], net[2])]  # type: ignore[union-attr]

    assert biases(LeakyReLU(0.2, twice_differentiable=True)) == [None, None]
    for plain in (nn.LeakyReLU(0.2), LeakyReLU(0.2)):
        assert biases(plain)[0] is not None, "torch's own has no wasted work any more: ours can go"
