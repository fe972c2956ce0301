"""Spectral norm of a whole network: the values and gradients of torch's own, which works layer by layer."""

import copy
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm as of_torch

from benchmarks.launches import kernels
from gansearch.models.spectral_norm import SpectralNorms, spectral_norm

LAYERS: dict[str, Callable[[], nn.Module]] = {
    "conv": lambda: nn.Conv2d(3, 6, 4, 2, 1),
    "conv, channels last": lambda: nn.Conv2d(3, 6, 4, 2, 1).to(memory_format=torch.channels_last),
    "transposed conv": lambda: nn.ConvTranspose2d(3, 6, 4, 2, 1),
    "transposed conv, channels last": lambda: nn.ConvTranspose2d(3, 6, 4, 2, 1).to(memory_format=torch.channels_last),
    "dense": lambda: nn.Linear(3, 6),
    "embedding": lambda: nn.Embedding(3, 6),
}


def inputs_of(layer: nn.Module) -> Tensor:
    if isinstance(layer, nn.Embedding):
        return torch.tensor([0, 2, 2, 1])
    return torch.rand(4, 3) if isinstance(layer, nn.Linear) else torch.rand(4, 3, 8, 8)


def pair_of(name: str) -> tuple[Any, Any]:
    """Returns a layer with gansearch's spectral norm and one with torch's, of one weight and with the same vectors."""
    torch.manual_seed(1)
    ours: Any = LAYERS[name]()
    theirs = of_torch(copy.deepcopy(ours))
    spectral_norm(ours)
    norm = theirs.parametrizations.weight[0]
    norm._u.copy_(ours.parametrizations.weight[0]._u)
    matrix = norm._reshape_weight_to_matrix(theirs.parametrizations.weight.original.detach())
    norm._v.copy_(nn.functional.normalize(matrix.T @ norm._u, dim=0))
    return ours, theirs.eval()  # in `eval` it iterates nothing


def perturb(layers: Sequence[Any]) -> None:
    """Changes the weights of the layers as an optimiser would, by the same numbers."""
    noise = torch.randn(layers[0].parametrizations.weight.original.shape)
    for layer in layers:
        layer.parametrizations.weight.original.data.add_(0.3 * noise)


@pytest.mark.parametrize("is_held", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_values_and_gradients_are_those_of_torch(name: str, is_held: bool) -> None:
    ours, theirs = pair_of(name)
    norms, inputs = SpectralNorms(ours), inputs_of(ours)
    for _ in range(3):
        with norms.held() if is_held else nullcontext():
            outputs = ours(inputs), ours(inputs + inputs if inputs.is_floating_point() else inputs)
        expected = theirs(inputs), theirs(inputs + inputs if inputs.is_floating_point() else inputs)
        for net, values in ((ours, outputs), (theirs, expected)):
            net.zero_grad()
            torch.stack([value.square().mean() for value in values]).sum().backward()
        torch.testing.assert_close(outputs, expected)
        grads = [net.parametrizations.weight.original.grad for net in (ours, theirs)]
        torch.testing.assert_close(*grads, rtol=1e-4, atol=1e-5)
        perturb((ours, theirs))
        norms.iterate()
        theirs.train()(inputs)  # iterates once
        theirs.eval()


def test_a_gradient_penalty_is_that_of_torch() -> None:
    ours, theirs = pair_of("conv")
    images = inputs_of(ours).requires_grad_()
    found = []
    for net, block in ((ours, SpectralNorms(ours).held()), (theirs, nullcontext())):
        with block:
            slope = torch.autograd.grad(net(images).square().sum(), images, create_graph=True)[0]
        slope.square().sum().backward()
        found.append(net.parametrizations.weight.original.grad)
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-5)


def test_a_gradient_that_would_be_wrong_is_refused() -> None:
    layer, _ = pair_of("dense")
    with SpectralNorms(layer).held():
        weight = layer.weight
    (grad,) = torch.autograd.grad(weight.square().sum(), layer.parametrizations.weight.original, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.sum().backward()


def test_weights_come_to_a_norm_of_one_and_stay_there() -> None:
    net = nn.Sequential(*(LAYERS[name]() for name in ("conv", "transposed conv", "dense")))
    for layer in net:
        spectral_norm(layer)
    norms = SpectralNorms(net)
    for _ in range(200):
        for layer in net:
            perturb([layer])
        norms.iterate()
    for _ in range(60):
        norms.iterate()
    for layer, dim in zip(net, (0, 1, 0), strict=True):
        matrix = layer.weight.detach().transpose(0, dim).flatten(1)  # type: ignore[operator, union-attr]
        assert torch.linalg.matrix_norm(matrix, 2).item() == pytest.approx(1, abs=1e-3)


def test_weights_that_were_loaded_are_held_in_place_of_those_before() -> None:
    layer, _ = pair_of("dense")
    norms = SpectralNorms(layer)
    with norms.held():
        before = layer.weight
    other, _ = pair_of("dense")
    perturb([other])
    layer.load_state_dict(other.state_dict())
    with norms.held():
        assert not torch.equal(before, layer.weight)
        torch.testing.assert_close(layer.weight, other.weight)


def test_after_loading_training_goes_on_bit_by_bit() -> None:
    """The vectors that are computed anew from what was saved are the same."""
    layer, _ = pair_of("conv")
    norms = SpectralNorms(layer)
    perturb([layer])
    norms.iterate()
    twin, _ = pair_of("conv")
    twin.load_state_dict(layer.state_dict())
    with norms.held(), SpectralNorms(twin).held():
        assert torch.equal(layer.weight, twin.weight)
    for name, buffer in layer.named_buffers():
        assert torch.equal(buffer, twin.get_buffer(name)), name


def test_a_weight_of_zeros_stays_finite() -> None:
    layer, _ = pair_of("dense")
    layer.parametrizations.weight.original.data.zero_()
    norms = SpectralNorms(layer)
    norms.iterate()
    with norms.held():
        assert layer.weight.eq(0).all()


def test_one_layer_more_takes_few_kernels_more() -> None:
    """A step with spectral norm on n layers takes at most ten kernels for each; torch's takes more than forty."""
    plain, normed = (kernels({"model.d_norm": "none", "model.spectral_norm": sn}) for sn in (False, True))
    assert 0 < normed - plain <= 10 * 5
