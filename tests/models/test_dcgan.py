"""What DCGAN is built from and weighs."""

from typing import Any

import pytest
import torch
from torch import nn

from gansearch.errors import UserError
from gansearch.models.base import ImageShape
from gansearch.models.dcgan import DCGAN
from gansearch.models.spectral_norm import SpectralNorms


def model_of(**options: Any) -> DCGAN:
    torch.manual_seed(0)
    return DCGAN(**{"features": 8, "z_dim": 12, **options})


def norms(D: nn.Module) -> int:
    return sum(isinstance(layer, nn.BatchNorm2d) for layer in D.modules())


@pytest.mark.parametrize(
    ("options", "per_image", "expected"),
    [
        ({}, False, 2),
        ({}, True, 0),
        ({"spectral_norm": True}, False, 0),
        ({"spectral_norm": True, "d_norm": "batch"}, False, 2),
        ({"d_norm": "none"}, False, 0),
    ],
)
def test_what_normalises_dcgan_s_discriminator(options: dict[str, Any], per_image: bool, expected: int) -> None:
    assert norms(model_of(**options).discriminator(ImageShape(1, 32), per_image=per_image)) == expected


def test_spectral_norm_brings_every_layer_of_d_to_one_and_leaves_g() -> None:
    model, shape = model_of(spectral_norm=True, attention_at=8), ImageShape(1, 32)
    D, G = model.discriminator(shape, per_image=False), model.generator(shape)
    norms = SpectralNorms(D)
    for _ in range(60):
        norms.iterate()
    layers = [layer for layer in D.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    assert len(layers) == 4 + 4
    for layer in layers:
        assert torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2).item() == pytest.approx(1, abs=0.05)
    assert not any("parametrizations" in name for name, _ in G.named_parameters())


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_the_weight_of_dcgan_at_32_by_hand() -> None:
    """Widths 128, 64, 32 at maps of 4, 8, 16; kernels of 4 x 4."""
    shape, options = ImageShape(1, 32), {"features": 32, "z_dim": 100}
    G = (100 * 128 * 16 + 2 * 128) + (128 * 64 * 16 + 2 * 64) + (64 * 32 * 16 + 2 * 32) + 32 * 16
    D = (32 * 16 + 32) + 32 * 64 * 16 + 64 * 128 * 16 + (128 * 16 + 1)
    batch_norms, biases = 2 * 64 + 2 * 128, 64 + 128
    attention = 2 * (64 * 8 + 8) + 2 * (64 * 64 + 64) + 1  # on the 64 channels of the 8 x 8 maps
    plain, attentive = model_of(**options), model_of(**options, attention_at=8, spectral_norm=True)
    assert count(plain.generator(shape)) == G == 369_600
    assert count(plain.discriminator(shape, per_image=False)) == D + batch_norms == 166_817
    assert count(plain.discriminator(shape, per_image=True)) == D + biases
    assert count(attentive.generator(shape)) == G + attention
    assert count(attentive.discriminator(shape, per_image=False)) == D + biases + attention


def test_weights_start_as_the_paper_has_them() -> None:
    model, shape = model_of(features=32, attention_at=16), ImageShape(3, 32)
    for network in (model.generator(shape), model.discriminator(shape, per_image=False)):
        kernels = torch.cat([p.detach().flatten() for p in network.parameters() if p.dim() == 4])
        assert kernels.mean().abs() < 5 * 0.02 / len(kernels) ** 0.5
        assert kernels.std().item() == pytest.approx(0.02, rel=0.02)
        assert kernels.abs().max() > 0.07  # not cut off
        layers = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
        scales = torch.cat([layer.weight.detach() for layer in layers])
        assert scales.mean().item() == pytest.approx(1, abs=0.01)
        assert scales.std().item() == pytest.approx(0.02, rel=0.3)
        biases = [p for name, p in network.named_parameters() if name.endswith("bias")]
        assert biases and not any(p.any() for p in biases)


@pytest.mark.parametrize("resolution", [12, 24, 48])
def test_a_resolution_that_is_no_power_of_two_is_refused(resolution: int) -> None:
    for build in (model_of().generator, lambda shape: model_of().discriminator(shape, per_image=False)):
        with pytest.raises(UserError, match=rf"data\.resolution={resolution}: set a power of two from 8"):
            build(ImageShape(1, resolution))


@pytest.mark.parametrize("attention_at", [8, 16, 32])
def test_attention_at_maps_that_are_not_there_is_refused(attention_at: int) -> None:
    model, shape = model_of(attention_at=attention_at), ImageShape(1, attention_at)
    for build in (model.generator, lambda shape: model.discriminator(shape, per_image=False)):
        with pytest.raises(UserError, match=rf"model\.attention_at={attention_at}: at data\.resolution=.* largest map"):
            build(shape)


def test_batch_norm_in_d_is_refused_where_images_are_judged_one_by_one() -> None:
    with pytest.raises(UserError, match=r"model\.d_norm=batch mixes images.*set it to auto or none"):
        model_of(d_norm="batch").discriminator(ImageShape(1, 32), per_image=True)
