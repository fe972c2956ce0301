"""Names of components (losses, models, samplers, plots, ...) to classes, for every kind in the same way.

A name is one of three:

- a file of the kind's folder: `losses/wgan_gp.py` holds one subclass of `losses.base.Loss` and is thereby `wgan-gp`;
- `MODULE:CLASS`, code of the user's (`gansearch.foreign`);
- an entry point of an installed package, in the group `gansearch.losses`, `gansearch.models`, ...

The class's constructor arguments are its options, so that their names, defaults and domains stand in one place.
"""

import importlib
import importlib.util
import inspect
import math
import pkgutil
from abc import ABC
from collections.abc import Callable, Iterable
from copy import copy
from dataclasses import field, fields
from functools import cache, partial
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated, Any, Literal, NamedTuple

import pydantic
from pydantic import BeforeValidator, ConfigDict, ValidationError

from gansearch import foreign
from gansearch.config import ArtifactsConfig, Component, TrialConfig, describe
from gansearch.errors import UserError, kind_and_message, unknown
from gansearch.logs import warn_once

Kind = Literal["data", "model", "loss", "metrics", "artifact", "sampler", "scheduler", "logger", "plot"]


class _Folder(NamedTuple):
    package: str
    base: str  # a class in the module `base` of the package
    group: str  # of entry points
    dashes: bool  # whether names have dashes in place of the underscores of their files


_FOLDERS: dict[Kind, _Folder] = {
    "data": _Folder("gansearch.data", "Dataset", "gansearch.data", dashes=False),
    "model": _Folder("gansearch.models", "Model", "gansearch.models", dashes=False),
    "loss": _Folder("gansearch.losses", "Loss", "gansearch.losses", dashes=True),
    "metrics": _Folder("gansearch.metrics.extractors", "Extractor", "gansearch.extractors", dashes=True),
    "artifact": _Folder("gansearch.training.artifacts", "Artifact", "gansearch.artifacts", dashes=False),
    "sampler": _Folder("gansearch.search.samplers", "Sampler", "gansearch.samplers", dashes=True),
    "scheduler": _Folder("gansearch.search.schedulers", "Scheduler", "gansearch.schedulers", dashes=True),
    "logger": _Folder("gansearch.search.loggers", "Logger", "gansearch.loggers", dashes=True),
    "plot": _Folder("gansearch.analysis.plots", "Plot", "gansearch.plots", dashes=False),
}

KINDS: tuple[Kind, ...] = tuple(_FOLDERS)
SECTIONS: tuple[Kind, ...] = ("data", "model", "loss", "metrics")
"""The kinds that a section of a `TrialConfig` names."""

_ADAPTERS = "imported"  # the module of a folder whose function `adapt` makes components of what is none

component = pydantic.dataclasses.dataclass(
    frozen=True, kw_only=True, config=ConfigDict(extra="forbid", allow_inf_nan=False)
)
"""Decorator that makes a component's class a frozen dataclass whose fields are validated options."""


@cache
def classes(kind: Kind) -> dict[str, type]:
    """Returns the components of a kind that the package has and those that installed packages add, by name.

    Imports them, so for models and losses torch too. One of an installed package that can't be used is left out, with a
    warning.

    Raises:
        UserError: Two installed packages have one name.
    """
    found = dict(_own(kind))
    for name in _installed(kind):
        try:
            found[name] = find(kind, name)
        except UserError as error:
            warn_once(f"left out: {error}")
    return found


def find(kind: Kind, name: str) -> type:
    """Returns the component of a name.

    Raises:
        UserError: There is none, the name is taken twice, or stands for something of another kind.
    """
    if foreign.is_foreign(name):
        return _component(kind, name, foreign.find(f"{kind}.name", name))
    own, installed = _own(kind), _installed(kind)
    entry = installed.get(name)
    if entry is None:
        if name not in own:
            raise unknown(f"{kind}.name", name, [*own, *installed])
        return own[name]
    if name in own:
        raise UserError(
            f"{kind}.name={name} is taken twice, by gansearch and by {entry.value} of an installed package: uninstall "
            f"that package, or name its class as {entry.value}"
        )
    try:
        found = entry.load()
    except (Exception, SystemExit) as error:  # whatever is wrong in an installed package, this search can't use it
        raise UserError(
            f"{kind}.name={name}: {entry.value} of an installed package can't be imported ({kind_and_message(error)}): "
            "uninstall or repair that package"
        ) from error
    return _component(kind, entry.value, found)


def build(kind: Kind, section: Component) -> Any:
    """Builds the component that a section names.

    Raises:
        UserError: The name or an option is unknown, a value is wrong, or code from outside the package fails.
    """
    cls = find(kind, section.name)
    names = {field.name for field in fields(cls)}
    options = {"name": section.name} if foreign.is_foreign(section.name) and "name" in names else {}
    for key, value in section.options.items():
        if key in names:
            options[key] = value
        elif key not in type(section).model_fields:  # else an option of the section's own, such as metrics.num_fake
            raise unknown(f"option of {section.name}", f"{kind}.{key}", [f"{kind}.{name}" for name in names])
    try:
        return cls(**options)
    except ValidationError as error:
        raise UserError(describe(error, prefix=kind)) from None
    except Exception as error:
        if cls.__module__.partition(".")[0] == "gansearch":
            raise
        raise UserError(f"{kind}.name={section.name} can't be built: {kind_and_message(error)}") from error


def resolve(config: TrialConfig) -> TrialConfig:
    """Returns `config` with the defaults of every component written out, so that a saved configuration is complete.

    The sources of code from outside the package are written out too.

    Raises:
        UserError: A component has an unknown name or option, or a wrong value, or its source has changed.
    """
    foreign.require(config.code, config.component_names)
    changes: dict[str, Any] = {}
    for kind in SECTIONS:
        section = getattr(config, kind)
        built = build(kind, section)
        # The component has validated its options, and `config` the rest.
        changes[kind] = section.model_copy(update={field.name: getattr(built, field.name) for field in fields(built)})
    changes["artifacts"] = config.artifacts.model_copy(update=chosen_artifacts(config.artifacts))
    return with_code(config.model_copy(update=changes), config.component_names)


def chosen_artifacts(section: ArtifactsConfig) -> dict[str, bool]:
    """Returns for every artifact whether it is written; raises UserError for an unknown one."""
    known: dict[str, Any] = classes("artifact")
    for name in section.on:
        if foreign.is_foreign(name):
            find("artifact", name)
        elif name not in known:
            raise unknown("option", f"artifacts.{name}", [f"artifacts.{other}" for other in known])
    return {name: cls.default for name, cls in known.items()} | section.on


def with_code(config: TrialConfig, names: Iterable[str]) -> TrialConfig:
    """Returns `config` with the sources of those components `names` that are from outside the package.

    Raises:
        UserError: One of them can't be imported.
    """
    modules = set()
    for name in filter(foreign.is_foreign, names):
        foreign.find("name", name)
        modules.add(name.partition(":")[0])
    installed = [_installed(kind).get(getattr(config, kind).name) for kind in SECTIONS]
    missing = (modules | {entry.module for entry in installed if entry}) - set(config.code)
    return config.model_copy(update={"code": config.code | foreign.sources(missing)}) if missing else config


@cache
def _installed(kind: Kind) -> dict[str, EntryPoint]:
    """Returns the entry points of a kind by name; raises UserError where two packages have one name."""
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=_FOLDERS[kind].group):
        other = found.setdefault(entry.name, entry)
        if other.value != entry.value:
            raise UserError(
                f"{kind}.name={entry.name} is taken twice, by {other.value} and {entry.value} of installed packages: "
                "uninstall one of them"
            )
    return found


@cache
def _own(kind: Kind) -> dict[str, type]:
    """Returns the components of the package by name."""
    folder = _FOLDERS[kind]
    package = importlib.import_module(folder.package)
    base = base_of(kind)
    found = {}
    for module_name in sorted(info.name for info in pkgutil.iter_modules(package.__path__)):
        module = importlib.import_module(f"{folder.package}.{module_name}")
        own = [
            value
            for value in vars(module).values()
            if inspect.isclass(value)
            and issubclass(value, base)
            and value.__module__ == module.__name__
            and not inspect.isabstract(value)
            and ABC not in value.__bases__
        ]
        if module_name == _ADAPTERS:
            continue
        if len(own) > 1:
            raise TypeError(f"{module.__name__} holds {len(own)} components; put each in a file of its own")
        if own:
            found[module_name.replace("_", "-") if folder.dashes else module_name] = own[0]
    return found


def base_of(kind: Kind) -> type:
    """Returns the base class of the components of a kind."""
    return getattr(importlib.import_module(f"{_FOLDERS[kind].package}.base"), _FOLDERS[kind].base)


def is_component(kind: Kind, found: Any) -> bool:
    """Returns whether an object is a finished class of this kind, or is made into a component of its own."""
    if not inspect.isclass(found):
        return callable(found) and _adapter(kind)(found) is not None
    if issubclass(found, base_of(kind)):
        return not inspect.isabstract(found)
    return hasattr(_adapter(kind)(found), "made")


def _component(kind: Kind, name: str, found: Any) -> type:
    """Returns the component that an object from outside the package is, or is made into; UserError where it is none."""
    base = base_of(kind)
    if inspect.isclass(found) and issubclass(found, base):
        if inspect.isabstract(found):
            missing = ", ".join(sorted(getattr(found, "__abstractmethods__", ())))
            raise UserError(f"{kind}.name={name} is an unfinished {base.__name__}: define {missing}")
        try:
            # Not decorated, a class would silently lack the options that it declares.
            whole: Any = found if "__dataclass_fields__" in vars(found) else component(found)
            pydantic.dataclasses.rebuild_dataclass(whole)  # raises where an option's type is not known
            return whole
        except Exception as error:  # the user's code: whatever is wrong in it is the user's to fix
            raise UserError(f"{kind}.name={name} has a wrong option: {kind_and_message(error)}") from error
    adapted = _adapter(kind)(found)
    if adapted is None:
        what = type(found).__name__
        if inspect.isclass(found):
            parents = [cls.__name__ for cls in found.__mro__[1:-1]]
            what = f"a class of {parents[0]}" if parents else f"the class {found.__qualname__}"
        raise UserError(f"{kind}.name={name} is {what}: name a subclass of {base.__module__}.{base.__name__}")
    return adapted


def _adapter(kind: Kind) -> Callable[[Any], type | None]:
    """Returns the function of a kind that makes a component of an object of another class, None where it can't."""
    name = f"{_FOLDERS[kind].package}.{_ADAPTERS}"
    if importlib.util.find_spec(name) is None:
        return lambda found: None
    return importlib.import_module(name).adapt


def from_signature(made: type, base: type, given: Iterable[str]) -> type:
    """Returns a component whose options are the arguments of a foreign class; its attribute `made` is that class.

    An argument whose default is no data, such as a function, is no option, and neither is one whose name means
    something else here. They keep their defaults.

    Args:
        made: A class that is no component.
        base: The component's base class.
        given: Arguments that the base class gives, so that they are no options.

    Raises:
        UserError: The constructor needs an argument that can be no option.
    """
    namespace: dict[str, Any] = {"__module__": made.__module__, "__annotations__": {}, "made": made}
    taken = {"name", *dir(base)}
    for name, parameter in inspect.signature(made).parameters.items():
        if name in given or parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
            continue
        is_required = parameter.default is parameter.empty
        if parameter.kind == parameter.POSITIONAL_ONLY or name in taken:
            if is_required:
                raise UserError(f"{made.__name__}: its argument {name} can't be an option: make it another keyword")
        elif is_required:
            namespace["__annotations__"][name] = Any
        elif _is_data(parameter.default):
            namespace["__annotations__"][name] = _Tuple if isinstance(parameter.default, tuple) else Any
            namespace[name] = field(default_factory=partial(copy, parameter.default))
    return component(type(made.__name__, (base,), namespace))


def _is_data(value: Any) -> bool:
    """Returns whether JSON can hold a value, a tuple as a list."""
    if isinstance(value, list | tuple):
        return all(map(_is_data, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_data(item) for key, item in value.items())
    return value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value))


def _tuples(value: Any) -> Any:
    """Returns a value with tuples in place of lists, which files have instead."""
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


_Tuple = Annotated[Any, BeforeValidator(_tuples)]
