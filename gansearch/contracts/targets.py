"""Finds and builds what `gansearch check` is to hold against a contract."""

import inspect
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from gansearch import foreign, registry
from gansearch.config import Component
from gansearch.errors import UserError, unknown
from gansearch.run import Space
from gansearch.search.find_space import module_of_file, permitted

Target = tuple[str, str, Any]
"""The kind of a component, its name, and the component."""


def targets(target: str, changes: Mapping[str, Any]) -> list[Target]:
    """Returns the components of a Python file, and its SPACE, or the one component `MODULE:CLASS`.

    Args:
        target: The file, or the name.
        changes: Options of the components by dotted path, `loss.clip`; a component takes those of its kind.

    Raises:
        UserError: The target can't be imported or is no component, or an option is wrong.
    """
    paths = {path.partition(".")[0] for path in changes}
    if wrong := paths - set(registry.KINDS):
        raise unknown("kind of component", wrong.pop(), registry.KINDS)
    if target.endswith(".py") or "/" in target:
        module = module_of_file(target)
        return [found for name, value in _own(module).items() for found in _built(name, value, changes)]
    foreign.permit([target])
    value = foreign.find("check", target)
    found = _built(target, value, changes)
    if not found:
        bases = ", ".join(registry.base_of(kind).__name__ for kind in registry.KINDS)
        raise UserError(f"{target} is no component: name a subclass of {bases}, or a Space")
    return found


def _own(module: ModuleType) -> dict[str, Any]:
    """Returns what a module defines itself, by the name `MODULE:NAME`."""
    return {
        f"{module.__name__}:{name}": value
        for name, value in vars(module).items()
        if isinstance(value, Space) or (inspect.isclass(value) and value.__module__ == module.__name__)
    }


def _built(name: str, value: Any, changes: Mapping[str, Any]) -> list[Target]:
    """Returns a component, built; nothing for a value of another class, or for a class that is not finished."""
    if isinstance(value, Space):
        return [("space", name, permitted(name, value))]
    for kind in registry.KINDS:
        if registry.is_component(kind, value):
            foreign.permit([name])
            options = {
                path.partition(".")[2]: option for path, option in changes.items() if path.startswith(f"{kind}.")
            }
            return [(kind, name, registry.build(kind, Component.model_validate({"name": name, **options})))]
    return []
