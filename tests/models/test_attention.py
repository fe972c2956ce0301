"""Self-attention against its definition."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from gansearch.models.attention import SelfAttention

CHANNELS, SIZE = 16, 4


@pytest.fixture
def layer() -> SelfAttention:
    torch.manual_seed(0)
    layer = SelfAttention(CHANNELS)
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.5)
    return layer


@pytest.fixture
def x() -> Tensor:
    return torch.randn(3, CHANNELS, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


def project(conv: nn.Module, x: Tensor) -> Tensor:
    """A 1 x 1 convolution, written out: (N, C, HW) to (N, C', HW)."""
    weight, bias = conv.weight, conv.bias
    assert isinstance(weight, Tensor) and isinstance(bias, Tensor)
    return torch.einsum("oc,ncp->nop", weight[:, :, 0, 0], x) + bias[:, None]


def test_it_starts_as_the_identity(x: Tensor) -> None:
    fresh = SelfAttention(CHANNELS)
    assert fresh.gamma == 0 and torch.equal(fresh(x), x)


def test_it_equals_its_definition(layer: SelfAttention, x: Tensor) -> None:
    flat = x.flatten(2)
    energy = torch.einsum("niq,nik->nqk", project(layer.f, flat), project(layer.g, flat))
    weights = energy.exp() / energy.exp().sum(2, keepdim=True)
    seen = torch.einsum("nqk,nck->ncq", weights, project(layer.h, flat))
    expected = flat + layer.gamma * project(layer.out, seen)
    assert layer.gamma != 0
    torch.testing.assert_close(layer.attention(x), weights, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(layer(x), expected.view_as(x), rtol=1e-4, atol=1e-4)


def test_every_position_distributes_one(layer: SelfAttention, x: Tensor) -> None:
    weights = layer.attention(x)
    assert weights.shape == (3, SIZE**2, SIZE**2) and (weights >= 0).all()
    torch.testing.assert_close(weights.sum(2), torch.ones(3, SIZE**2))
    assert not torch.allclose(weights.sum(1), torch.ones(3, SIZE**2), atol=0.1)


@pytest.mark.parametrize(("channels", "inner"), [(64, 8), (16, 2), (4, 1)])
def test_queries_and_keys_have_an_eighth_of_the_channels(channels: int, inner: int) -> None:
    layer = SelfAttention(channels)
    shapes = {name: tuple(getattr(layer, name).weight.shape[:2]) for name in ("f", "g", "h", "out")}
    assert shapes["f"] == shapes["g"] == (inner, channels)
    assert shapes["h"] == shapes["out"] == (channels, channels)


def test_positions_are_a_set(layer: SelfAttention, x: Tensor) -> None:
    """Without a code of places, moving the positions moves the output alike."""
    order = torch.randperm(SIZE**2, generator=torch.Generator().manual_seed(2))

    def moved(maps: Tensor) -> Tensor:
        return maps.flatten(2)[:, :, order].view_as(maps)

    torch.testing.assert_close(layer(moved(x)), moved(layer(x)), rtol=1e-4, atol=1e-4)


def test_under_autocast_it_stays_near(layer: SelfAttention, x: Tensor) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = layer(x)
    torch.testing.assert_close(y.float(), layer(x), rtol=0.1, atol=0.3)


def test_a_gpus_kernel_gives_the_same(layer: SelfAttention, x: Tensor) -> None:
    value = project(layer.h, x.flatten(2)).transpose(1, 2)
    torch.testing.assert_close(layer.fused(x), layer.attention(x) @ value, rtol=1e-4, atol=1e-4)


def test_it_keeps_channels_last(layer: SelfAttention, x: Tensor) -> None:
    assert layer(x.contiguous(memory_format=torch.channels_last)).is_contiguous(memory_format=torch.channels_last)


def test_spectral_norm_is_on_every_projection() -> None:
    layer = SelfAttention(CHANNELS, sn=True)
    assert all(parametrize.is_parametrized(getattr(layer, name)) for name in ("f", "g", "h", "out"))
