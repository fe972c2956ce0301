"""Every option of a trial, read from the classes that define it: the sections of `TrialConfig` and all components."""

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from pydantic import BaseModel, TypeAdapter

from gansearch import registry
from gansearch.config import ArtifactsConfig, Component, TrialConfig
from gansearch.errors import unknown
from gansearch.run.domain import as_typed

_TYPES = {"integer": "int", "number": "float", "boolean": "bool", "string": "str", "array": "list", "null": "null"}
_BOUNDS = {
    "minimum": ">= {}",
    "exclusiveMinimum": "> {}",
    "maximum": "<= {}",
    "exclusiveMaximum": "< {}",
    "multipleOf": "multiple of {}",
    "pattern": "matches {}",
}


# Section -> what it is, the default, the prefix of its components' options.
_OF_A_SEARCH: dict[Any, tuple[str, str, str]] = {
    "sampler": ("What proposes the parameters of a trial.", "tpe", "sampler."),
    "scheduler": (
        "What decides whether a trial goes on; none: every trial does.",
        "asha",
        "scheduler.",
    ),
    "logger": ("What hands the rows of a search on while it runs; several can be given.", "", "logger.{}."),
}
_SECTIONS = [*(name for name in TrialConfig.model_fields if name != "code"), *_OF_A_SEARCH]


@dataclass(frozen=True)
class Option:
    """An option as a user sees it. All fields but `path` and `help` are short texts; `domain` is empty without limits.

    Args:
        path: The dotted path, as `--set` takes it.
        type: The types of its values, as `int or null`.
        default: The value that it has if it is not set, or `required`.
        domain: The values that it may have.
        help: What it does, on one line.
    """

    path: str
    type: str
    default: str
    domain: str
    help: str


@dataclass(frozen=True)
class Block:
    """The options of a section, or of one component of a section.

    Args:
        section: The section of the configuration, or the name of an option that stands alone, as `seed`.
        component: The component; empty for the options that a section has whatever its component.
        about: The first line of the docstring.
        options: The options.
    """

    section: str
    component: str
    about: str
    options: list[Option] = field(default_factory=list)


def option_blocks(target: str | None = None) -> list[Block]:
    """Returns all options, or those of a target: `loss`, `loss.wgan`, or a single option as `optim.g_lr`.

    A section with components comes first, then each of its components. A target that is one component brings the
    options of its section. A component imports torch, a section without components does not.

    Raises:
        UserError: There is no such section, component or option.
    """
    section, _, name = (target or "").partition(".")
    if target is None:
        return [block for section in _SECTIONS for block in _blocks(section)]
    if section not in _SECTIONS:
        raise unknown("section", target, _SECTIONS)
    blocks = _blocks(section)
    if not name:
        return blocks
    if any(block.component == name for block in blocks):
        return [block for block in blocks if block.component in {"", name}]
    single = [
        Block(block.section, block.component, block.about, [option])
        for block in blocks
        for option in block.options
        if option.path == target
    ]
    if not single:
        paths = {option.path for block in blocks for option in block.options}
        raise unknown("option", target, paths | {f"{section}.{block.component}" for block in blocks if block.component})
    return single


def _blocks(section: str) -> list[Block]:
    """Returns the options of a section, and then those of its components, if it has some."""
    if section in _OF_A_SEARCH:
        return list(_of_a_search(cast(registry.Kind, section)))
    found = getattr(TrialConfig(), section)
    if isinstance(found, ArtifactsConfig):
        return [Block(section, "", _about(ArtifactsConfig), list(_artifacts()))]
    if not isinstance(found, BaseModel):
        properties = TrialConfig.model_json_schema()["properties"]
        (option,) = _options(TrialConfig, {section: properties[section]}, prefix="")
        return [Block(section, "", "", [option])]
    schema = type(found).model_json_schema()["properties"]
    if not isinstance(found, Component):
        return [Block(section, "", _about(type(found)), list(_options(type(found), schema, f"{section}.")))]
    components = registry.classes(section)
    own = [option for option in _options(type(found), schema, f"{section}.") if option.path != f"{section}.name"]
    name = Option(
        f"{section}.name",
        "str",
        found.name,
        " | ".join(components),
        f"Which component; `options {section}.NAME` shows its options.",
    )
    blocks = [Block(section, "", _about(type(found)), [name, *own])]
    for component, cls in components.items():
        properties = TypeAdapter(cls).json_schema().get("properties", {})
        further = {key: value for key, value in properties.items() if key not in type(found).model_fields}
        blocks.append(Block(section, component, _about(cls), list(_options(cls, further, f"{section}."))))
    return blocks


def _of_a_search(section: registry.Kind) -> Iterator[Block]:
    """Yields the options of a sampler, a scheduler or loggers, which are options of the search, not of a trial."""
    about, default, prefix = _OF_A_SEARCH[section]
    components = registry.classes(section)
    name = Option(f"{section}.name", "str", default, " | ".join(components), f"Given with --{section} NAME.")
    yield Block(section, "", about, [name])
    for component, cls in components.items():
        properties = TypeAdapter(cls).json_schema().get("properties", {})
        yield Block(section, component, _about(cls), list(_options(cls, properties, prefix.format(component))))


def _artifacts() -> Iterator[Option]:
    known: dict[str, Any] = registry.classes("artifact")
    for name, cls in known.items():
        yield Option(f"artifacts.{name}", "bool", as_typed(cls.default), "true | false", _about(cls))


def _options(cls: type, properties: Mapping[str, Mapping[str, Any]], prefix: str) -> Iterator[Option]:
    """Yields the options of a class from the properties of its JSON schema."""
    documented = _documented(cls)
    for name, schema in properties.items():
        help = schema.get("description") or documented.get(name, "")
        default = as_typed(schema["default"]) if "default" in schema else "required"
        yield Option(f"{prefix}{name}", _type_text(schema), default, _domain_text(schema), help)


def _about(cls: type) -> str:
    """Returns the first paragraph of a class's own docstring on one line; a dataclass without one has its signature."""
    text = inspect.cleandoc(cls.__doc__ or "")
    first = " ".join(text.partition("\n\n")[0].split())
    return "" if first.startswith(f"{cls.__name__}(") else first


def _documented(cls: type) -> dict[str, str]:
    """Returns the entries of `Args:` in the docstrings of a class and of its bases; the class itself comes first."""
    found: dict[str, str] = {}
    for base in cls.__mro__:
        section = re.search(r"^Args:\n((?: +.*\n?|\n)*)", inspect.cleandoc(base.__doc__ or ""), re.MULTILINE)
        if section:
            entries = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", section[1], re.MULTILINE)
            found = {name: " ".join(text.split()) for name, text in entries} | found
    return found


def _type_text(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(map(_type_text, schema["anyOf"]))
    if "type" in schema:
        return _TYPES.get(schema["type"], schema["type"])
    return " or ".join(dict.fromkeys(type(value).__name__ for value in schema.get("enum", [])))


def _domain_text(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(filter(None, map(_domain_text, schema["anyOf"])))
    if "const" in schema:
        return as_typed(schema["const"])
    if "enum" in schema:
        return " | ".join(map(as_typed, schema["enum"]))
    if schema.get("type") == "boolean":
        return "true | false"
    bounds = ", ".join(text.format(_bound(schema[key])) for key, text in _BOUNDS.items() if key in schema)
    return bounds or ("finite" if schema.get("type") == "number" else "")


def _bound(bound: Any) -> str:
    """Returns a bound or a pattern. Whether pydantic writes 0 or 0.0 depends on its version."""
    return f"{bound:g}" if isinstance(bound, float) else str(bound)
