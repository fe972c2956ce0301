"""A search read back from its directory: `search.json` (what was searched) and `results.jsonl` (what came of it)."""

import json
import math
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gansearch.errors import UserError
from gansearch.run.ledger import Ledger
from gansearch.run.paths import RunDir, join
from gansearch.run.protocol import Floor
from gansearch.run.rows import Eval, Row, Start, read


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Attributes(_Data):
    """The attributes of an Optuna distribution, as far as a plot needs them."""

    low: float = math.nan
    high: float = math.nan
    log: bool = False
    choices: tuple[Any, ...] = ()


class Domain(_Data):
    """An Optuna distribution in its JSON form; read without importing Optuna."""

    name: Literal["FloatDistribution", "IntDistribution", "CategoricalDistribution"]
    attributes: Attributes

    @property
    def categorical(self) -> bool:
        return self.name == "CategoricalDistribution"


class Condition(_Data):
    """A parameter is searched only where the option at `path` equals this."""

    path: str
    equals: Any


class Parameter(_Data):
    domain: Domain
    when: Condition | None = None


class Space(_Data):
    """The searched parameters by dotted path, and the options that all trials share."""

    base: dict[str, Any] = Field(default_factory=dict)
    params: dict[str, Parameter]

    def active(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Those of a trial's `params` that had an effect, in the space's order; then what the space does not hold."""
        known = {path: params[path] for path in self.params if path in params and self._holds(path, params)}
        return known | {path: value for path, value in params.items() if path not in self.params}

    def _holds(self, path: str, params: Mapping[str, Any]) -> bool:
        when = self.params[path].when
        if when is None:
            return True
        if when.path not in params:
            return _at(self.base, when.path) == when.equals
        return params[when.path] == when.equals and (when.path not in self.params or self._holds(when.path, params))


class Budget(_Data):
    trials: int
    max_kimg: float
    rungs: tuple[float, ...] = ()


class Search(_Data):
    """What `search.json` says, as far as the analysis needs it. `checkpoints`: a URI, where they are kept elsewhere.

    `floor` is None where the data set has but one split.
    """

    name: str
    space: Space
    budget: Budget
    floor: Floor | None = None
    checkpoints: str | None = None


@dataclass(frozen=True)
class LoadedRun:
    """A run in memory; all its FIDs were measured under one protocol."""

    dir: RunDir
    search: Search
    ledger: Ledger

    def checkpoint(self, trial_id: str) -> str | None:
        """Where the newest checkpoint of a trial lies, with the best generator so far; None where there is none."""
        if self.search.checkpoints is not None:
            return join(self.search.checkpoints, trial_id) if self.ledger[trial_id].evals else None
        # Unfinished ones are `*.tmp`; images are zero-padded, but a longer run could outgrow nine digits.
        found = [
            (int(images), path)
            for path in self.dir.trial(trial_id).glob("checkpoint_*")
            if (images := path.name.removeprefix("checkpoint_")).isdecimal() and path.is_dir()
        ]
        return str(max(found)[1]) if found else None


def load(run: RunDir) -> LoadedRun:
    """Reads a run, also one that is still going.

    Raises UserError where `search.json` is broken, or where FIDs of different protocols meet in one run.
    """
    search = _read_search(run)
    rows = read(run.results) if run.results.exists() else []
    ledger = Ledger(_sound(rows, run))
    _require_one_protocol(run, ledger)
    return LoadedRun(run, search, ledger)


def _require_one_protocol(run: RunDir, ledger: Ledger) -> None:
    """UserError that names the protocols of a run of several, and in which options of their trials they differ."""
    found = Counter(row.protocol for state in ledger.values() for row in state.evals)
    if len(found) < 2:
        return
    (first, _), (second, _) = found.most_common(2)
    measured = [_measuring_options(run, ledger, protocol) for protocol in (first, second)]
    pairs = {path: [options.get(path) for options in measured] for path in sorted(measured[0] | measured[1])}
    parts = ", ".join(f"{path} {mine} / {theirs}" for path, (mine, theirs) in pairs.items() if mine != theirs)
    counts = ", ".join(f"{protocol} ({count} evaluations)" for protocol, count in found.most_common())
    raise UserError(
        f"{run.path}: FIDs of {len(found)} protocols cannot be ranked together: {counts}; {first} and {second} differ "
        f"in {parts or 'no option, so in the images or the weights'}; search again under one protocol"
    )


def _measuring_options(run: RunDir, ledger: Ledger, protocol: str) -> dict[str, Any]:
    """What a trial under `protocol` was told of its data and metrics, by dotted path; empty where that is gone."""
    trial_id = next(id for id, state in ledger.items() if any(row.protocol == protocol for row in state.evals))
    try:
        config = json.loads(run.trial_config(trial_id).read_text())
        return {f"{name}.{key}": value for name in ("data", "metrics") for key, value in config[name].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _read_search(run: RunDir) -> Search:
    try:
        return Search.model_validate_json(run.search_json.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        found = f"{where}: {first['msg']}" if where else first["msg"]
        raise UserError(f"{run.search_json} is broken ({found}): restore it, or search again") from None
    except OSError as error:
        raise UserError(f"{run.search_json} cannot be read ({error.strerror}): check its permissions") from None


def _sound(rows: list[Row], run: RunDir) -> Iterator[Row]:
    """Leaves out, and says so, what would break a ranking: rows of a trial with no start, FIDs that are no number."""
    started: set[str] = set()
    skipped = 0
    for row in rows:
        if isinstance(row, Start):
            started.add(row.trial_id)
        elif row.trial_id not in started or (isinstance(row, Eval) and not math.isfinite(row.fid)):
            skipped += 1
            continue
        yield row
    if skipped:
        print(f"{run.results}: left out {skipped} rows without a start row or a finite FID", file=sys.stderr)


def _at(tree: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path of nested dicts; None where there is none."""
    value: Any = tree
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
