"""How the tests hold components against their contract."""

from collections.abc import Mapping
from typing import Any

import pytest

from gansearch.contracts.base import Property, properties


def cases(kind: str, components: Mapping[str, Any]) -> list[Any]:
    """Returns the parameters (property, component) of a test: every property of a kind for every named component."""
    return [
        pytest.param(each, component, id=f"{name}: {each.check.__name__}")
        for name, component in components.items()
        for each in properties(kind)
    ]


def hold(each: Property, component: Any) -> None:
    """Raises where a component, or one of its variants where these count, does not hold a property."""
    for _, subject in each.subjects(component):
        each.check(subject)
