"""A gradient penalty spends no time on second derivatives that are 0, for every model of the package."""

from dataclasses import fields

import pytest
import torch

from gansearch import registry
from gansearch.models.base import ImageShape, Model
from gansearch.models.leaky import LeakyReLU

MODELS = {
    **{name: {} for name in registry.classes("model")},
    "dcgan": {"attention_at": "none"},
    "sagan": {"attention_at": "none"},
}


def small(name: str, **options: object) -> Model:
    cls = registry.classes("model")[name]
    own = {field.name for field in fields(cls)}
    return cls(**{key: value for key, value in {"features": 8, "d_features": 8}.items() if key in own} | options)


@pytest.mark.parametrize("name", MODELS)
def test_every_kernel_has_a_part_in_the_slope_and_no_bias_has(name: str) -> None:
    """D is piecewise linear, so its slope does not depend on a bias. Torch's own ReLU carries zeros all the same."""
    torch.manual_seed(0)
    D = small(name, **MODELS[name]).discriminator(ImageShape(1, 32), per_image=True)
    images = (torch.rand(4, 1, 32, 32) * 2 - 1).requires_grad_()
    (slope,) = torch.autograd.grad(D(images).logits.sum(), images, create_graph=True)
    slope.square().sum().backward()
    ours = any(isinstance(layer, LeakyReLU) for layer in D.modules())
    for parameter_name, parameter in D.named_parameters():
        if parameter.dim() > 1:
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, parameter_name
        elif ours:
            assert parameter.grad is None, parameter_name
