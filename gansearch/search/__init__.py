"""The driver of a search: what is trained when, and what becomes of it. `gansearch.search(...)` runs a search."""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class _Room(ModuleType):
    """A package that can be called as the function `search` of the Python door.

    Python puts an imported package into its parent under its name, where users expect that function.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Runs a search and returns it: `gansearch.door.search`, whose arguments it takes."""
        return import_module("gansearch.door").search(*args, **kwargs)


sys.modules[__name__].__class__ = _Room
