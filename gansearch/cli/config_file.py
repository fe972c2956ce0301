"""Reads the options of `--config FILE`: YAML or JSON, as dotted paths (`optim.g_lr: 1e-4`) or as nested mappings."""

import json
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from gansearch.cache import read_small
from gansearch.config import Component, TrialConfig
from gansearch.errors import UserError, one_line
from gansearch.search.find_space import with_absolute_paths
from gansearch.text import without_nul

# As JSON writes it. YAML 1.1 reads 1e-4 as a text, 010 as eight and 1:30 as ninety.
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
# The options that a section has whatever its component.
_DECLARED = {name: type(section).model_fields for name, section in TrialConfig() if isinstance(section, Component)}


def read_config(path: Path) -> dict[str, Any]:
    """Returns the options of a file by dotted path.

    Raises:
        UserError: The file can't be read, is neither YAML nor JSON, gives an option twice, or a value that no option
            takes, such as a list.
    """
    try:
        text = read_small(path)
        tree = json.loads(text, object_pairs_hook=_unique) if path.suffix == ".json" else yaml.load(text, _Loader)
        return with_absolute_paths(without_nul(_unique(_flat({} if tree is None else tree))))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise UserError(f"--config {path}: {one_line(error)}; write options as in `optim.g_lr: 1e-4`") from None


def overridden(config: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the options of a file together with those of the command line, which win.

    Where the command line names another component than the file, the file's options of that component go too.
    """
    switched = {section for section in _DECLARED if _differ(f"{section}.name", config, settings)}
    kept = {}
    for path, value in config.items():
        section, _, key = path.partition(".")
        if section not in switched or key in _DECLARED[section]:
            kept[path] = value
    return {**kept, **settings}


def _differ(path: str, config: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
    return path in config and path in settings and config[path] != settings[path]


def _flat(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields the dotted path and the value of each option; a text that is a number becomes one, as with `--set`."""
    if not isinstance(tree, Mapping):
        raise ValueError(f"a {type(tree).__name__} is no mapping of options")
    for key, value in tree.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{path}.")
        elif isinstance(value, str):
            yield path, json.loads(value) if _NUMBER.fullmatch(value) else value
        elif value is None or isinstance(value, bool | int | float):
            yield path, value
        else:
            raise ValueError(f"{path} is a {type(value).__name__}: an option is a text, a number, true, false or null")


def _unique(pairs: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for key, value in pairs:
        if not isinstance(key, str):
            raise ValueError(f"{key} is no name of an option")
        if key in found:
            raise ValueError(f"{key} is given twice")
        found[key] = value
    return found


class _Loader(yaml.SafeLoader):
    """Reads plain words as texts, but for true, false and null: a date is a text, and so are `on` and `no`."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - those of YAML 1.1, in the class above

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):  # aliases of aliases stand for more options than any memory holds
            event = self.peek_event()
            line = event.start_mark.line + 1
            raise yaml.YAMLError(f"line {line}: *{event.anchor} stands for another value: write the value itself")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        return _unique(
            [
                (self.construct_object(key, deep=True), self.construct_object(value, deep=True))
                for key, value in node.value
            ]
        )


_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("(true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile("(~|null|Null|NULL|)$"), ["~", "n", "N", ""])
