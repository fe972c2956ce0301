"""How the tests hold components against their contract."""

import re
from collections.abc import Mapping
from typing import Any

import pytest

from gansearch.contracts.base import Property, properties, verdicts


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


def require_fault(kind: str, component: Any, reason: str) -> None:
    """Raises unless a broken component is found to be so for a `reason`; the properties after that are not tried."""
    faults: list[str] = []
    for verdict in verdicts(kind, component):
        if not verdict.ok:
            faults.append(f"{verdict.sentence}: {verdict.reason}")
            assert len(faults[-1].splitlines()) == 1
            if re.search(reason, faults[-1]):
                return
    raise AssertionError(f"it is caught for other reasons: {faults}")
