"""The layers of G and D with shapes and sizes, as numbers: what a report on a GAN shows. Nothing is trained or read."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.utils.flop_counter import FlopCounterMode

from gansearch import foreign
from gansearch.config import TrialConfig
from gansearch.errors import UserError, kind_and_message
from gansearch.models.base import ImageShape
from gansearch.training.build import build_networks, require_memory_for

_CPU = torch.device("cpu")


class Layer(NamedTuple):
    """One layer in the forward pass of one image.

    Args:
        path: The attributes that lead to the module, as in its `state_dict`.
        kind: The class, with a slope or a rate, and whether its weights have spectral norm.
        kernel: The kernel (height, width), empty for a layer without one.
        stride: The stride (height, width), empty for a layer without one.
        output: The shape of the output without the batch.
        parameters: The number of the weights.
    """

    path: str
    kind: str
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    output: tuple[int, ...]
    parameters: int


class Network(NamedTuple):
    """A network: its layers in the order of the forward pass.

    Args:
        layers: All modules with weights of their own or without children; a self-attention is one layer.
        parameters: The number of all weights.
        macs: The multiplications and additions of all convolutions, dense layers and attention maps for one image.
    """

    layers: list[Layer]
    parameters: int
    macs: int


def describe_networks(config: TrialConfig, shape: ImageShape, z_dim: int, labelled: bool) -> dict[str, Network]:
    """Returns G and D of a resolved configuration for images of a shape, by name.

    Args:
        config: The configuration.
        shape: The shape of the images.
        z_dim: The length of z.
        labelled: Whether the networks take labels.

    Raises:
        UserError: The networks can't be built for such images or are too large for the machine, or a model from outside
            the package fails.
    """
    require_memory_for(config, shape)
    G, D = build_networks(config, shape, _CPU)  # with weights: on the meta device there is no spectral norm
    labels = torch.zeros(1, dtype=torch.int64) if labelled else None
    images = torch.zeros(1, shape.channels, shape.resolution, shape.resolution)
    try:
        return {"G": _described(G, torch.zeros(1, z_dim), labels), "D": _described(D, images, labels)}
    except Exception as error:
        if not foreign.is_foreign(config.model.name):
            raise
        raise UserError(f"model {config.model.name}: {kind_and_message(error)}") from error


@torch.no_grad()
def _described(network: nn.Module, inputs: Tensor, labels: Tensor | None) -> Network:
    layers: list[Layer] = []
    counted: set[nn.Module] = set()

    def record(path: str, module: nn.Module, output: Any) -> None:
        own = 0 if module in counted else _num_parameters(module)
        counted.add(module)
        layers.append(_layer(path, module, output, own))

    for path, module in _layers(network):
        module.register_forward_hook(lambda module, _, output, path=path: record(path, module, output))
    with FlopCounterMode(display=False) as counter:
        network.eval()(inputs, labels)
    return Network(layers, _num_parameters(network), counter.get_total_flops() // 2)


def _layers(module: nn.Module, path: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Yields the modules that are a layer each, but for those that do nothing."""
    children = {name: child for name, child in module.named_children() if name != "parametrizations"}
    if not children or list(module.parameters(recurse=False)):
        idle = isinstance(module, nn.Identity) or (isinstance(module, nn.Dropout) and module.p == 0)
        if not idle:
            yield path, module
        return
    for name, child in children.items():
        yield from _layers(child, f"{path}.{name}" if path else name)


def _layer(path: str, module: nn.Module, output: Any, parameters: int) -> Layer:
    kind = type(module).__name__.removeprefix("Parametrized")
    for attribute in ("negative_slope", "p"):
        value = getattr(module, attribute, None)  # of somebody's own module it may be anything
        kind += f" {value:g}" if isinstance(value, int | float) else ""
    if parametrize.is_parametrized(module) or any(map(parametrize.is_parametrized, module.children())):
        kind += ", spectral norm"
    shape = tuple(output.shape[1:]) if isinstance(output, Tensor) else ()
    kernel, stride = (_sizes(getattr(module, attribute, ())) for attribute in ("kernel_size", "stride"))
    return Layer(path, kind, kernel, stride, shape, parameters)


def _num_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _sizes(size: Any) -> tuple[int, ...]:
    return size if isinstance(size, tuple) else (size, size)
