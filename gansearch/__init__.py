"""gansearch: hyperparameter search for image GANs on Ray, Optuna and FID.

`search`, `load` and `load_generator` are the door for scripts and notebooks. `Space`, `When` and `TrialConfig` describe
what is searched. Each is imported when it is first used, so that a light command stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gansearch.config import TrialConfig
    from gansearch.door import Run, load, search
    from gansearch.export import load_generator
    from gansearch.run import Space, When

__all__ = ["Run", "Space", "TrialConfig", "When", "load", "load_generator", "search"]

_HOMES = {
    "Run": "door",
    "load": "door",
    "search": "door",
    "load_generator": "export",
    "Space": "run.space",
    "When": "run.space",
    "TrialConfig": "config",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        # Reading the version takes longer than all else that a light command imports, and is hardly ever wanted.
        from importlib.metadata import version

        return version("gansearch")
    if name not in _HOMES:
        raise AttributeError(f"module 'gansearch' has no attribute {name!r}")
    return getattr(import_module(f"gansearch.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
