"""The work of `trial --describe`: prints G and D, the loss and the optimiser of a configuration."""

import sys
import textwrap

from gansearch import registry
from gansearch.analysis.table import Table, console_of
from gansearch.analysis.text import value_text
from gansearch.config import TrialConfig
from gansearch.data.base import Dataset
from gansearch.logs import visible
from gansearch.models.base import ImageShape, Model
from gansearch.text import kimg_text
from gansearch.training.build import likely_shape
from gansearch.training.describe import Network, describe_networks

_COLUMNS = ("module", "output", "parameters", "layer", "kernel", "stride")
_UNITS = {"G": 1e9, "M": 1e6, "k": 1e3}


def print_description(config: TrialConfig) -> None:
    """Prints a resolved configuration and its networks; reads no data.

    Raises:
        UserError: The networks can't be built.
    """
    model: Model = registry.build("model", config.model)
    shape, width = likely_shape(config), console_of(sys.stdout).width
    for name, text in _facts(config, model, shape).items():
        print(textwrap.fill(visible(text), width, initial_indent=f"{name:<11}", subsequent_indent=" " * 11))
    for name, network in describe_networks(config, shape, model.z_dim, model.conditional).items():
        size = f"{network.parameters:,} parameters, {_short(network.macs)} multiply-adds an image"
        print("\n" + textwrap.fill(f"{name}: {size}", width))
        _table(network).write()


def _facts(config: TrialConfig, model: Model, shape: ImageShape) -> dict[str, str]:
    optim, train = config.optim, config.train
    dataset: type[Dataset] = registry.find("data", config.data.name)
    assumed = "" if dataset.known_shape else " (assumed: the data set is not read)"
    steps = f"{_steps(optim.d_steps, 'D')}, then {_steps(optim.g_steps, 'G')}"
    averaged = f"averaged with a half-life of {kimg_text(train.ema_kimg)} kimg" if train.ema_kimg else "not averaged"
    images = _by((shape.channels, shape.resolution, shape.resolution))
    return {
        "data": f"{config.data.name}: {images}, {shape.classes} classes{assumed}",
        "model": _options(config, "model"),
        "z": f"{model.z_dim} normal numbers",
        "labels": f"one-hot beside z in G; {model.conditioning} in D" if model.conditional else "not used",
        "loss": _options(config, "loss"),
        "optimiser": f"Adam, rates {optim.g_lr:g} (G) and {optim.d_lr:g} (D), betas {optim.beta1:g} and "
        f"{optim.beta2:g}; {steps}",
        "training": f"{kimg_text(train.max_kimg)} kimg, batch {train.batch}, {train.precision}; G {averaged}; "
        + (f"replay {_options(config, 'replay')}" if config.replay.every else "no replay"),
    }


def _options(config: TrialConfig, section: str) -> str:
    """Returns the options of a section, the component's name first: `dcgan features=64 z_dim=100`."""
    own = {path.partition(".")[2]: value for path, value in config.flat().items() if path.startswith(f"{section}.")}
    words = [value_text(own.pop("name"))] if "name" in own else []
    return " ".join([*words, *(f"{key}={value_text(value)}" for key, value in own.items())])


def _table(network: Network) -> Table:
    table = Table(_COLUMNS, right={"parameters"}, text="layer", hint="a wider terminal has room for all")
    for layer in network.layers:
        parameters = f"{layer.parameters:,}" if layer.parameters else ""
        table.add(layer.path, _by(layer.output), parameters, layer.kind, _by(layer.kernel), _by(layer.stride))
    return table


def _by(sizes: tuple[int, ...]) -> str:
    return " x ".join(map(str, sizes))


def _steps(count: int, network: str) -> str:
    return f"{count} {network} step{'s' if count > 1 else ''}"


def _short(count: int) -> str:
    """Returns a count with three digits: 12.3 M."""
    unit, size = next(((unit, size) for unit, size in _UNITS.items() if count >= size), ("", 1))
    return f"{count / size:.3g} {unit}".rstrip()
