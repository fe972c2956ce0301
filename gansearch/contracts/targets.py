"""Finds and builds what `gansearch check` is to hold against a contract."""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from types import ModuleType
from typing import Any

from gansearch import foreign, registry
from gansearch.config import Component
from gansearch.contracts.base import Verdict, verdicts
from gansearch.errors import UserError, kind_and_message, one_line, unknown
from gansearch.run import Space
from gansearch.search.find_space import module_of_file, permitted


@dataclass(frozen=True)
class Target:
    """A component to check: its kind, its name, and the component itself; or the fault for which there is none."""

    kind: str
    name: str
    component: Any = None
    fault: str | None = None

    def verdicts(self) -> Iterator[Verdict]:
        """Yields whether the component can be built, where it can't, and else whether it holds its contract."""
        if self.fault is None:
            yield from verdicts(self.kind, self.component)
        else:
            yield Verdict("It can be built.", ok=False, reason=self.fault)


def targets(target: str, changes: Mapping[str, Any]) -> list[Target]:
    """Returns the components of a Python file, and its SPACE, or the one component `MODULE:CLASS`.

    A component that can't be built is a target with a fault.

    Args:
        target: The file, or the name.
        changes: Options of the components by dotted path, `loss.clip`; each component of that kind that has the option
            takes it.

    Raises:
        UserError: The target can't be imported or is no component, or no component has one of the options.
    """
    paths = {path.partition(".")[0] for path in changes}
    if wrong := paths - set(registry.KINDS):
        raise unknown("kind of component", wrong.pop(), registry.KINDS)
    if target.endswith(".py") or "/" in target:
        values = _own(module_of_file(target, target))
    else:
        foreign.permit([target])
        values = {target: foreign.find("target", target)}
        _require_component(target, values[target])
    known: set[str] = set()
    found = [one for name, value in values.items() if (one := _target(name, value, changes, known)) is not None]
    if missing := set(changes) - known:
        raise unknown("option", missing.pop(), known)
    return found


def _own(module: ModuleType) -> dict[str, Any]:
    """Returns what a module defines itself, by the name `MODULE:NAME`."""
    return {
        f"{module.__name__}:{name}": value
        for name, value in vars(module).items()
        if isinstance(value, Space) or (inspect.isclass(value) and value.__module__ == module.__name__)
    }


def _require_component(name: str, value: Any) -> None:
    """Raises UserError for an object that is neither a Space nor a finished component."""
    if isinstance(value, Space) or any(registry.is_component(kind, value) for kind in registry.KINDS):
        return
    for kind in registry.KINDS:
        if inspect.isclass(value) and issubclass(value, registry.base_of(kind)):
            registry.find(kind, name)  # says what the class lacks
    bases = ", ".join(registry.base_of(kind).__name__ for kind in registry.KINDS)
    raise UserError(f"{name} is no component: name a subclass of {bases}, or a Space")


def _target(name: str, value: Any, changes: Mapping[str, Any], known: set[str]) -> Target | None:
    """Returns a component, built; None for a value of another class, or for a class that is not finished.

    Adds the paths of the component's options to `known`.
    """
    if isinstance(value, Space):
        return Target("space", name, permitted(name, value))
    for kind in registry.KINDS:
        try:
            if not registry.is_component(kind, value):
                continue
            foreign.permit([name])
            own = {f"{kind}.{field.name}": field.name for field in fields(registry.find(kind, name))}
            own.pop(f"{kind}.name", None)  # which component it is, is not for an option to say
            known.update(own)
            options = {option: changes[path] for path, option in own.items() if path in changes}
            section = Component.model_validate({"name": name, **options})
            return Target(kind, name, registry.build(kind, section))
        except UserError as error:
            return Target(kind, name, fault=one_line(error))
        except Exception as error:  # noqa: BLE001 - somebody's code: whatever it raises is the verdict
            return Target(kind, name, fault=kind_and_message(error))
    return None
