"""Names of losses, models, data sets and extractors, found by looking into their folders.

A component is one file: `losses/wgan_gp.py` holds one subclass of `losses.base.Loss` and is thereby `wgan-gp`. The
class's constructor arguments are its options, so that their names, defaults and domains stand in one place.
"""

import importlib
import inspect
import pkgutil
from abc import ABC
from dataclasses import fields
from functools import cache
from typing import Any, Literal

import pydantic
from pydantic import ConfigDict, ValidationError

from gansearch.config import Component, TrialConfig, describe
from gansearch.errors import UserError, unknown

Kind = Literal["data", "model", "loss", "metrics"]

# Section of TrialConfig -> (package, base class in the module `base` of the package).
_FOLDERS: dict[Kind, tuple[str, str]] = {
    "data": ("gansearch.data", "Dataset"),
    "model": ("gansearch.models", "Model"),
    "loss": ("gansearch.losses", "Loss"),
    "metrics": ("gansearch.metrics.extractors", "Extractor"),
}
IMPORTED = "MODULE:FACTORY"
"""The name of the component in a folder's `imported.py`; its section's name has this form."""

KINDS: tuple[Kind, ...] = tuple(_FOLDERS)

component = pydantic.dataclasses.dataclass(
    frozen=True, kw_only=True, config=ConfigDict(extra="forbid", allow_inf_nan=False)
)
"""Decorator that makes a component's class a frozen dataclass whose fields are validated options."""


@cache
def classes(kind: Kind) -> dict[str, type]:
    """Returns all components of a kind by name. Imports the files of the folder, so for models and losses torch too."""
    package_name, base_name = _FOLDERS[kind]
    package = importlib.import_module(package_name)
    base = getattr(importlib.import_module(f"{package_name}.base"), base_name)
    found = {}
    for module_name in sorted(info.name for info in pkgutil.iter_modules(package.__path__)):
        module = importlib.import_module(f"{package_name}.{module_name}")
        own = [
            value
            for value in vars(module).values()
            if inspect.isclass(value)
            and issubclass(value, base)
            and value.__module__ == module.__name__
            and not inspect.isabstract(value)
            and ABC not in value.__bases__
        ]
        if len(own) > 1:
            raise TypeError(f"{module.__name__} holds {len(own)} components; put each in a file of its own")
        if own:
            name = module_name.replace("_", "-" if kind in {"loss", "metrics"} else "_")
            found[IMPORTED if name == "imported" else name] = own[0]
    return found


def build(kind: Kind, section: Component) -> Any:
    """Builds the component that a section names. Raises UserError for an unknown name or option, or a wrong value."""
    known = classes(kind)
    given = {"name": section.name} if ":" in section.name else {}
    cls = known.get(IMPORTED if given else section.name)
    if cls is None:
        raise unknown(f"{kind}.name", section.name, known)
    names = {field.name for field in fields(cls)}
    options = {}
    for key, value in section.options.items():
        if key in names:
            options[key] = value
        elif key not in type(section).model_fields:  # else an option of the section's own, such as metrics.num_fake
            raise unknown(f"option of {section.name}", f"{kind}.{key}", [f"{kind}.{name}" for name in names])
    try:
        return cls(**given, **options)
    except ValidationError as error:
        raise UserError(describe(error, prefix=kind)) from None


def resolve(config: TrialConfig) -> TrialConfig:
    """Returns `config` with the defaults of every component written out, so that a saved configuration is complete.

    Raises UserError where a component has an unknown name or option, or a wrong value.
    """
    sections: dict[str, Any] = {}
    for kind in KINDS:
        section = getattr(config, kind)
        built = build(kind, section)
        # The component has validated its options, and `config` the rest.
        sections[kind] = section.model_copy(update={field.name: getattr(built, field.name) for field in fields(built)})
    return config.model_copy(update=sections)
