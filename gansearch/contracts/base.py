"""What a component must hold, as named properties that the tests and `gansearch check` share.

The contract of a kind is one file here, `loss.py` for losses: the class that it is about, `SUBJECT`, and functions
decorated with `holds`. A property takes a component that is built and raises `Violation` where it does not hold. It
must hold for every component that trains, not only for those of this package, so what a known component computes is for
the tests to check.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from functools import cache
from types import ModuleType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import ValidationError
from pydantic_core import to_jsonable_python
from torch import nn

import gansearch.contracts
from gansearch import registry
from gansearch.errors import kind_and_message, one_line, unknown


class Violation(AssertionError):  # noqa: N818 - a verdict on a component, not a fault of the program
    """A component does not hold a property of its contract; the message is one line that says what it does instead."""


@dataclass(frozen=True)
class Property:
    """One property of a contract.

    Attributes:
        sentence: What holds, as a sentence.
        check: Takes a component and raises Violation, or what the component itself raises.
        each_option: The property also holds under each value of each option, so `variants` are checked too.
    """

    sentence: str
    check: Callable[[Any], None]
    each_option: bool

    def subjects(self, component: Any) -> Iterator[tuple[str, Any]]:
        """Yields the components to check, each with what sets it apart, as `variants` does."""
        return variants(component) if self.each_option else iter([("", component)])


@dataclass(frozen=True)
class Verdict:
    """Whether a component holds a property; `reason` is one line where it does not, else None."""

    sentence: str
    ok: bool
    reason: str | None = None


def holds(sentence: str, *, each_option: bool = False) -> Callable[[Callable[[Any], None]], Property]:
    """Decorator that makes a function the check of a property."""
    return lambda check: Property(sentence, check, each_option)


def require(condition: Any, reason: str) -> None:
    """Raises Violation with a `reason` unless the condition is true. `assert` would do nothing under `python -O`."""
    if not condition:
        raise Violation(reason)


@cache
def _contracts() -> dict[str, ModuleType]:
    names = sorted(info.name for info in pkgutil.iter_modules(gansearch.contracts.__path__))
    modules = {name: importlib.import_module(f"{gansearch.contracts.__name__}.{name}") for name in names}
    return {name: module for name, module in modules.items() if hasattr(module, "SUBJECT")}


def kinds() -> list[str]:
    """Returns the kinds of components that have a contract."""
    return list(_contracts())


def kind_of(component: Any) -> str | None:
    """Returns the kind whose contract a component, or a class of components, has to hold; None where there is none."""
    cls = component if isinstance(component, type) else type(component)
    return next((kind for kind, module in _contracts().items() if issubclass(cls, module.SUBJECT)), None)


def properties(kind: str) -> list[Property]:
    """Returns the contract of a kind; raises UserError where that kind has none."""
    if kind not in _contracts():
        raise unknown("kind of component", kind, kinds())
    own = [value for value in vars(_contracts()[kind]).values() if isinstance(value, Property)]
    return [options_survive, *own] if kind in registry.KINDS else own


def verdicts(kind: str, component: Any) -> Iterator[Verdict]:
    """Holds a component against the contract of its kind; yields a verdict as soon as it is known.

    Args:
        kind: One of `kinds()`.
        component: The component, built with the options to check. Properties with `each_option` are checked under the
            other values of its options as well.
    """
    for each in properties(kind):
        reason = None
        for change, subject in each.subjects(component):
            try:
                each.check(subject)
            except Violation as violation:
                reason = one_line(violation)
            except Exception as error:  # noqa: BLE001 - somebody's code: whatever it raises is the verdict
                reason = kind_and_message(error)
            if reason is not None:
                reason = f"{change}: {reason}" if change else reason
                break
        yield Verdict(each.sentence, reason is None, reason)


def variants(component: Any) -> Iterator[tuple[str, Any]]:
    """Yields a component, and then it with one option changed, for each other value of a Boolean or a Literal.

    Values that the component refuses are left out.

    Yields:
        The change as `option=value`, empty for the component itself, and the component.
    """
    yield "", component
    hints = get_type_hints(type(component))
    for field in fields(component):
        for value in _values(hints[field.name]):
            if value == getattr(component, field.name):
                continue
            try:
                yield f"{field.name}={value}", changed(component, **{field.name: value})
            except ValidationError:
                continue


def _values(hint: Any) -> tuple[Any, ...]:
    """Returns the values that an annotation lists: of a Boolean, of a Literal, or of either in a union."""
    if hint is bool:
        return False, True
    if get_origin(hint) is Literal:
        return get_args(hint)
    if get_origin(hint) in (Union, UnionType):
        return tuple(value for part in get_args(hint) for value in _values(part))
    return ()


def changed(component: Any, **options: Any) -> Any:
    """Builds a component again with some options changed; raises pydantic's ValidationError for a refused value."""
    return replace(component, **options)


def require_gradients(network: str, module: nn.Module) -> None:
    """Raises Violation unless every parameter has a finite gradient, and no matrix or kernel the gradient 0.

    A vector may have the gradient 0: batch norm takes a bias before it away again.
    """
    for name, parameter in module.named_parameters():
        slope = parameter.grad
        if slope is None:
            raise Violation(f"{network}'s {name} gets no gradient: nothing depends on it")
        require(slope.isfinite().all(), f"the gradient of {network}'s {name} is not finite")
        require(slope.abs().sum() > 0 or parameter.dim() < 2, f"the gradient of {network}'s {name} is 0")


@holds("Its options survive the files of a run.")
def options_survive(component: Any) -> None:
    """Raises Violation unless a component can be built again from its options as config.json or search.json has them.

    The property of every component, of whatever kind.
    """
    cls = type(component)
    is_whole = "__dataclass_fields__" in vars(cls) or "__annotations__" not in vars(cls)
    require(is_whole, f"{cls.__name__} lacks the options that it declares: decorate it with @component")
    options = {field.name: getattr(component, field.name) for field in fields(component)}
    again = cls(**to_jsonable_python(options))
    require(again == component, f"built again from its options, {again} is not {component}")
