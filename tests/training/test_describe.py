"""The description of G and D: every weight counted once, true shapes, operations counted by hand."""

from typing import Any

import pytest
import torch
from torch import nn

from gansearch.config import TrialConfig
from gansearch.errors import UserError
from gansearch.models.base import ImageShape
from gansearch.training.build import build_networks
from gansearch.training.describe import Network, describe_networks
from gansearch.training.feasibility import check

COLOUR = ImageShape(3, 32, 10)
VARIANTS: dict[str, dict[str, Any]] = {
    "dcgan": {"model.attention_at": 16, "model.conditioning": "projection", "model.spectral_norm": True},
    "sagan": {"model.attention_at": 8, "model.conditioning": "acgan", "loss.name": "wgan-gp"},
    "resnet": {"model.d_features": 16, "model.conditioning": "concat"},
    "uniform": {"model.dropout": 0.4},
    "mlp": {},
}


def described(name: str, **changes: Any) -> tuple[TrialConfig, dict[str, Network]]:
    config = check(TrialConfig().override({"model.name": name, "model.features": 16, **VARIANTS[name], **changes}))
    labelled = "model.conditioning" in VARIANTS[name]
    return config, describe_networks(config, COLOUR, config.flat()["model.z_dim"], labelled)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_weight_is_counted_once(name: str) -> None:
    config, networks = described(name)
    for built, network in zip(build_networks(config, COLOUR, torch.device("cpu")), networks.values(), strict=True):
        assert network.parameters == sum(parameter.numel() for parameter in built.parameters())
        assert network.parameters == sum(layer.parameters for layer in network.layers)
        modules = dict(built.named_modules())
        assert all(layer.path in modules for layer in network.layers)
        convolutions = sum(isinstance(module, nn.Conv2d | nn.ConvTranspose2d) for module in modules.values())
        inside = 4 * sum(layer.kind.startswith("SelfAttention") for layer in network.layers)
        assert convolutions == inside + sum(layer.kernel != () for layer in network.layers)


def test_layers_have_their_kernels_and_shapes() -> None:
    _, networks = described("dcgan")
    found = {layer.kind: layer for layer in networks["D"].layers}
    first = found["Conv2d, spectral norm"]
    assert (first.kernel, first.stride, first.output) == ((4, 4), (2, 2), (64, 4, 4))  # the last one of that kind
    assert found["SelfAttention, spectral norm"].output == (16, 16, 16)
    assert found["LeakyReLU 0.2"].parameters == 0
    assert networks["G"].layers[-1].output == (3, 32, 32)
    assert not any("spectral" in layer.kind for layer in networks["G"].layers)
    assert not any(layer.kind.startswith("Dropout") for layer in networks["D"].layers), "of nothing"
    assert [layer.kind for layer in described("uniform")[1]["D"].layers].count("Dropout 0.4") == 1


def test_operations_are_counted_for_one_image() -> None:
    _, networks = described("mlp")
    for network in networks.values():
        weights = [layer.parameters - layer.output[0] for layer in network.layers if layer.kind == "Linear"]
        assert network.macs == sum(weights)  # one for each weight, none for a bias
    _, networks = described("dcgan", **{"model.attention_at": "none", "model.conditioning": "none"})
    assert networks["D"].macs == 16 * (3 * 16 * 16**2 + 16 * 32 * 8**2 + 32 * 64 * 4**2) + 64 * 16


def test_describing_draws_no_random_numbers() -> None:
    before = torch.get_rng_state()
    described("mlp")
    assert torch.equal(torch.get_rng_state(), before)


def test_networks_that_no_memory_holds_are_refused_before_they_are_built() -> None:
    config = TrialConfig().override({"model.name": "sagan", "model.features": 4096, "data.resolution": 1024})
    with pytest.raises(UserError, match=r"model\.name=sagan at data\.resolution=1024 take .* GiB"):
        describe_networks(config, ImageShape(3, 1024, 0), 100, labelled=False)
