"""Halving and doubling convolutions against torch's own, and their other ways in bfloat16 on a CPU."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from gansearch.derivatives import second_derivatives
from gansearch.models.halving import Doubling, Halving, double, weight_gradient

SHAPES = st.tuples(*(st.integers(1, 5) for _ in range(5)))  # images, channels of the large and small map, height, width
LAYERS = {"halving": (Halving, (2, 3, 8, 16)), "doubling": (Doubling, (2, 6, 4, 8)), "to few": (Doubling, (2, 3, 9, 9))}


def some(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=60, deadline=None)
@given(SHAPES, st.booleans())
def test_both_gradients_are_torchs(shape: tuple[int, ...], channels_last: bool) -> None:
    count, of_large, of_small, height, width = shape
    layout = torch.channels_last if channels_last else torch.contiguous_format
    small = some(count, of_small, height, width).to(memory_format=layout)
    large = some(count, of_large, 2 * height, 2 * width, seed=1).to(memory_format=layout)
    weight = some(of_small, of_large, 4, 4, seed=2).requires_grad_()
    torch.testing.assert_close(double(small, weight.detach()), F.conv_transpose2d(small, weight.detach(), None, 2, 1))
    (expected,) = torch.autograd.grad((F.conv2d(large, weight, None, 2, 1) * small).sum(), weight)
    torch.testing.assert_close(weight_gradient(large, small, weight.detach()), expected)


@pytest.mark.parametrize("operator", ["product_of_patches", "pixels"])
def test_compilers_are_told_the_shape(operator: str) -> None:
    large, small, weight = some(2, 3, 8, 12), some(2, 5, 4, 6), some(5, 3, 4, 4)
    arguments = (large, small) if operator == "product_of_patches" else (small, weight)
    checks = ("test_schema", "test_faketensor")
    torch.library.opcheck(getattr(torch.ops.gansearch, operator).default, arguments, test_utils=checks)


def layer_of(name: str) -> tuple[nn.Module, Tensor]:
    kind, (count, cin, height, width) = LAYERS[name]
    layer = kind(cin, 3 if name == "to few" else 5, bias=name == "halving")
    for parameter in layer.parameters():
        parameter.data.normal_(generator=torch.Generator().manual_seed(3))
    return layer.to(memory_format=torch.channels_last), some(count, cin, height, width).float()


def trained(layer: nn.Module, x: Tensor, way: str) -> dict[str, Tensor]:
    """What a layer makes of x in bfloat16, and all gradients of a sum; `way`: the operator that it is to take."""
    x = x.clone().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = layer(x)
    assert y.grad_fn.name() == way
    (y.float() * some(*y.shape, seed=4).float()).sum().backward()
    found = {"y": y.detach().float(), "x": x.grad, **{name: p.grad for name, p in layer.named_parameters()}}
    layer.zero_grad()
    return found


@pytest.mark.parametrize("name", LAYERS)
def test_in_bfloat16_a_layer_is_as_exact_as_torchs(name: str) -> None:
    layer, x = layer_of(name)
    exact = {key: value.float() for key, value in trained_exactly(layer, x).items()}
    mine = trained(layer, x, "_HalveBackward" if name == "halving" else "_DoubleBackward")
    with second_derivatives():
        theirs = trained(layer, x, "ConvolutionBackward0")
    for key, value in exact.items():
        ours, usual = ((found[key] - value).norm() / value.norm() for found in (mine, theirs))
        assert ours < 1.2 * usual + 1e-3, key
    assert mine["weight"].is_contiguous(memory_format=torch.channels_last), "as the optimiser wants it"


def trained_exactly(layer: nn.Module, x: Tensor) -> dict[str, Tensor]:
    x = x.double().requires_grad_()
    layer.double()
    y = layer(x)
    (y * some(*y.shape, seed=4)).sum().backward()
    found = {"y": y.detach(), "x": x.grad, **{name: p.grad for name, p in layer.named_parameters()}}
    layer.zero_grad()
    layer.float()
    return found


@pytest.mark.parametrize("name", LAYERS)
def test_in_float32_it_is_torchs_layer(name: str) -> None:
    layer, x = layer_of(name)
    plain = nn.Conv2d if isinstance(layer, nn.Conv2d) else nn.ConvTranspose2d
    assert torch.equal(layer(x), plain.forward(layer, x))


def test_its_gradient_is_derived_where_that_was_said_before_and_refused_where_not() -> None:
    layer, x = layer_of("halving")

    def penalty() -> Tensor:
        points = x.clone().requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            (slope,) = torch.autograd.grad(layer(points).float().square().sum(), points, create_graph=True)
        return slope.square().sum()

    with second_derivatives():
        penalty().backward()
    assert layer.weight.grad is not None and layer.weight.grad.norm() > 0
    with pytest.raises(RuntimeError, match="once_differentiable"):
        penalty().backward()
