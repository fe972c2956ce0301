"""What every registered model must do under each of its options; and what DCGAN weighs."""

import itertools
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from gansearch import registry
from gansearch.config import ModelConfig, TrialConfig
from gansearch.errors import UserError
from gansearch.models.base import ImageShape, Model
from gansearch.training.build import build_networks
from gansearch.training.feasibility import check

GRID: dict[str, tuple[Any, ...]] = {
    "attention_at": ("none", 8, 16),
    "spectral_norm": (False, True),
    "d_norm": ("auto", "none", "batch"),
}
SHAPES = [ImageShape(channels, resolution) for channels in (1, 3) for resolution in (8, 16, 32, 64)]
SMALL = {"features": 8, "d_features": 8, "z_dim": 12}
BATCH = 4


def _variants() -> Iterator[Any]:
    """Every model with every combination of those options of the grid that it has."""
    for name, cls in registry.classes("model").items():
        own = {field.name for field in fields(cls)}
        grid = {key: values for key, values in GRID.items() if key in own}
        small = {key: value for key, value in SMALL.items() if key in own}
        for values in itertools.product(*grid.values()):
            options = dict(zip(grid, values, strict=True))
            yield pytest.param({"name": name, **small, **options}, id="-".join(map(str, [name, *values])))


VARIANTS = list(_variants())


def model_of(**options: Any) -> Model:
    torch.manual_seed(0)
    return registry.build("model", ModelConfig.model_validate({"name": "dcgan", "features": 8, "z_dim": 12, **options}))


def latents(count: int = BATCH) -> Tensor:
    return torch.randn(count, SMALL["z_dim"], generator=torch.Generator().manual_seed(1))


def opened(network: nn.Module) -> nn.Module:
    """Attention starts shut (gamma 0); opened, gradients pass it."""
    for name, parameter in network.named_parameters():
        if name.endswith("gamma"):
            nn.init.constant_(parameter, 0.5)
    return network


def weights(network: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.detach() for name, parameter in network.named_parameters()}


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"{shape.channels}x{shape.resolution}")
@pytest.mark.parametrize("options", VARIANTS)
def test_networks_fit_images_and_train(options: dict[str, Any], shape: ImageShape) -> None:
    model = model_of(**options)
    attention = options.get("attention_at", "none")
    if attention != "none" and attention >= shape.resolution:
        with pytest.raises(UserError, match=rf"model\.attention_at={attention}: at data\.resolution=.* largest map"):
            model.generator(shape)
        return
    if shape.resolution == 8 and options["name"] == "resnet":
        with pytest.raises(UserError, match=r"data\.resolution=8: set a power of two from 16"):
            model.discriminator(shape, per_image=False)
        return
    G, D = opened(model.generator(shape)), opened(model.discriminator(shape, per_image=False))
    images = G(latents())
    logits = D(images).logits
    assert images.shape == (BATCH, shape.channels, shape.resolution, shape.resolution)
    assert images.dtype == logits.dtype == torch.float32 and logits.shape == (BATCH,)
    assert images.abs().max() <= 1 and images.std() > 0
    softplus(logits).sum().backward()
    for name, parameter in [*G.named_parameters(), *D.named_parameters()]:
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0 or name.endswith("bias"), name


@pytest.mark.parametrize("options", VARIANTS)
def test_the_seed_decides_the_weights(options: dict[str, Any]) -> None:
    config = check(TrialConfig().override({f"model.{name}": value for name, value in options.items()}))
    shape, device = ImageShape(1, config.data.resolution), torch.device("cpu")
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = [weights(network) for network in build_networks(config, shape, device)]
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    again = [weights(network) for network in build_networks(config, shape, device)]
    other = [weights(network) for network in build_networks(config.override({"seed": 1}), shape, device)]
    for mine, same, different in zip(first, again, other, strict=True):
        assert all(torch.equal(mine[name], same[name]) for name in mine)
        assert not any(torch.equal(mine[name], different[name]) for name in mine if mine[name].dim() > 1)


@pytest.mark.parametrize("options", VARIANTS)
def test_images_are_judged_one_by_one_where_the_loss_needs_it(options: dict[str, Any]) -> None:
    model, shape = model_of(**options), ImageShape(1, 32)
    if options.get("d_norm") == "batch":
        with pytest.raises(UserError, match=r"model\.d_norm=batch mixes images.*set it to auto or none"):
            model.discriminator(shape, per_image=True)
        return
    D = opened(model.discriminator(shape, per_image=True)).eval()  # spectral norm rests
    for layer in D.modules():
        layer.train(isinstance(layer, nn.BatchNorm2d))
    images = torch.rand(BATCH, 1, 32, 32) * 2 - 1
    others = torch.cat([images[:1], -images[1:]])
    torch.testing.assert_close(D(images).logits[0], D(others).logits[0])


@pytest.mark.parametrize("options", VARIANTS)
def test_a_gradient_penalty_can_be_differentiated_and_wastes_no_work(options: dict[str, Any]) -> None:
    """Every weight has a part in the slope of D. A bias has none where D is piecewise linear, and no gradient."""
    if options.get("d_norm") == "batch":
        return
    D = opened(model_of(**options).discriminator(ImageShape(1, 32), per_image=True))
    images = (torch.rand(BATCH, 1, 32, 32) * 2 - 1).requires_grad_()
    (slope,) = torch.autograd.grad(D(images).logits.sum(), images, create_graph=True)
    slope.square().sum().backward()
    for name, parameter in D.named_parameters():
        if parameter.dim() > 1:
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
        elif options["name"] != "resnet" and options.get("attention_at", "none") == "none":  # ResNet has torch's ReLU
            assert parameter.grad is None, name


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
    images = torch.rand(BATCH, 1, 32, 32)
    for _ in range(60):
        D(images)
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
