"""A run on disk: files, schemas, and the one policy for damage. Imports neither torch, nor Ray, nor Optuna."""

from gansearch.run.ledger import Ledger, TrialState
from gansearch.run.loaded import Run, load
from gansearch.run.manifest import Manifest, Options, Plan
from gansearch.run.paths import RunDir, find_run, new_run
from gansearch.run.protocol import Floor, Protocol
from gansearch.run.space import Space, When

__all__ = [
    "Floor",
    "Ledger",
    "Manifest",
    "Options",
    "Plan",
    "Protocol",
    "Run",
    "RunDir",
    "Space",
    "TrialState",
    "When",
    "find_run",
    "load",
    "new_run",
]
