"""The averaged generator against its closed form."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm as of_torch

from gansearch.models.spectral_norm import SpectralNorms, spectral_norm
from gansearch.training.ema import EMA

LATE = 10**9  # images: far beyond the time when the half-life is cut short


def scalar(value: float) -> nn.Linear:
    layer = nn.Linear(1, 1, bias=False).double()
    nn.init.constant_(layer.weight, value)
    return layer


@given(st.floats(0.01, 100), st.integers(1, 50))
def test_after_a_half_life_half_is_left_however_many_steps_it_took(half_life_kimg: float, steps: int) -> None:
    G = scalar(1.0)
    ema = EMA(G, half_life_kimg)
    nn.init.zeros_(G.weight)
    for _ in range(steps):
        ema.update(LATE, half_life_kimg * 1000 / steps)  # type: ignore[arg-type]
    assert ema.model.weight.item() == pytest.approx(0.5)  # type: ignore[operator]


def test_it_weighs_each_image_by_its_age() -> None:
    G = scalar(3.0)
    ema = EMA(G, 2.0)
    expected = 3.0
    for value, step in [(1.0, 500), (-2.0, 1500), (4.0, 64)]:
        nn.init.constant_(G.weight, value)
        ema.update(LATE, step)
        expected = value + (expected - value) * 2 ** (-step / 2000)
    assert ema.model.weight.item() == pytest.approx(expected)  # type: ignore[operator]


def test_a_young_average_forgets_in_a_twentieth_of_what_was_shown() -> None:
    G = scalar(1.0)
    ema = EMA(G, 1000.0)
    nn.init.zeros_(G.weight)
    ema.update(2000, 100)
    assert ema.model.weight.item() == pytest.approx(0.5)  # type: ignore[operator]


def test_without_a_half_life_it_is_g() -> None:
    G = scalar(1.0)
    ema = EMA(G, 0.0)
    nn.init.constant_(G.weight, 7.0)
    ema.update(64, 64)
    assert torch.equal(ema.model.weight, G.weight)  # type: ignore[arg-type]


def test_it_averages_the_statistics_of_batch_norm_and_rests_otherwise() -> None:
    G = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    ema = EMA(G, 1.0)
    G(torch.randn(64, 2) * 5 + 3)
    ema.update(LATE, 1000)
    mine, theirs = ema.model.state_dict(), G.state_dict()
    torch.testing.assert_close(mine["1.running_mean"], theirs["1.running_mean"] / 2)
    torch.testing.assert_close(mine["1.running_var"], (theirs["1.running_var"] + 1) / 2)
    assert G.training and not ema.model.training
    assert not any(parameter.requires_grad for parameter in ema.model.parameters())
    assert all(parameter.requires_grad for parameter in G.parameters())


def test_loaded_weights_are_averaged_on() -> None:
    """A restored average has to lie in the tensors that `update` writes."""
    G = scalar(1.0)
    ema = EMA(G, 1.0)
    ema.model.load_state_dict(scalar(5.0).state_dict())
    ema.update(LATE, 1000)
    assert ema.model.weight.item() == pytest.approx(3.0)  # type: ignore[operator]


@pytest.mark.parametrize("normed", [spectral_norm, of_torch])
def test_the_average_is_of_spectral_norm_one_all_the_same(normed: Callable[[Any], object]) -> None:
    """The singular vectors are averaged too, with length 1: otherwise every layer would be too large."""
    torch.manual_seed(0)
    G = nn.Linear(6, 5, bias=False)
    normed(G)
    norms = SpectralNorms(G)
    ema = EMA(G, 1.0)
    for _ in range(200):
        with torch.no_grad():
            G.parametrizations.weight.original.add_(0.3 * torch.randn(5, 6))
        G(torch.randn(2, 6))  # iterates torch's
        norms.iterate()
        ema.update(LATE, 200)
    vectors = [value for name, value in ema.model.named_buffers() if name.endswith(("._u", "._v"))]
    assert len(vectors) == 2
    for vector in vectors:
        assert vector.norm().item() == pytest.approx(1, abs=1e-5)
    assert torch.linalg.matrix_norm(ema.model.weight.detach(), 2).item() == pytest.approx(1, abs=0.03)
