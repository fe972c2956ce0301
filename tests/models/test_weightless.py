"""Networks without weights have the shapes of those with weights, take no memory, and show what can't be built."""

from collections import Counter
from itertools import product

import pytest
import torch
from torch import nn
from torch.nn import init

from gansearch import registry
from gansearch.config import TrialConfig
from gansearch.models.base import ImageShape
from gansearch.models.weightless import without_weights
from gansearch.training.build import build_networks, build_without_weights

MODELS = registry.classes("model")


@pytest.mark.parametrize(("model", "conditioning"), list(product(MODELS, ["none", "projection"])))
def test_they_have_the_shapes_of_networks_with_weights(model: str, conditioning: str) -> None:
    config = registry.resolve(TrialConfig().override({"model.name": model, "model.conditioning": conditioning}))
    shape = ImageShape(channels=3, resolution=32, classes=10)
    built = build_networks(config, shape, torch.device("cpu"))
    for network, weightless in zip(built, build_without_weights(config, shape), strict=True):
        assert shapes(weightless) == shapes(network)
        assert all(weight.is_meta for weight in weightless.state_dict().values())


def shapes(network: nn.Module) -> Counter[tuple[torch.Size, torch.dtype]]:
    """Counts the shapes of the weights; spectral norm, which needs values, changes their names and order."""
    return Counter((weight.shape, weight.dtype) for weight in network.parameters())


def test_what_has_memory_is_filled() -> None:
    tensor = torch.zeros(3)
    with without_weights():
        init.ones_(tensor)
        assert init.normal_(tensor=torch.empty(2)).is_meta
    assert tensor.tolist() == [1, 1, 1]


def test_a_wrong_initialisation_is_seen() -> None:
    with without_weights(), pytest.raises(ValueError, match="2 or more dimensions"):
        init.orthogonal_(nn.Linear(2, 2).bias)
