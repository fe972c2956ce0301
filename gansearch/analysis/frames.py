"""A run as tidy pandas frames: one row for each trial, or one row for each evaluation."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from operator import attrgetter
from pathlib import Path
from typing import Any

import pandas as pd

from gansearch.analysis.rank import Ranked, rank
from gansearch.run.domain import Domain
from gansearch.run.loaded import Run
from gansearch.run.rows import Eval
from gansearch.run.space import Parameter

_TEXTS = ("trial_id", "status", "reason", "origin", "parent", "relation", "protocol", "checkpoint", "node")
# The types of the columns that hold no floats.
_TYPES = {
    **dict.fromkeys(("rank", "place"), "Int64"),
    "number": "int64",
    "time": "datetime64[ns, UTC]",
    **dict.fromkeys(_TEXTS, "string"),
}


def trials_frame(run: Run) -> pd.DataFrame:
    """Returns one row for each trial, the lowest FID first.

    The columns are the fields of `Ranked`, with one column for each parameter of the space in place of `params`. A
    range of numbers gives floats or nullable integers. Choices give a categorical or, where all of them are booleans,
    nullable booleans. The value of a parameter that does not apply is missing, as is the choice None, and a value
    outside the space, where that was changed.
    """
    return ranking_frame(rank(run), run.manifest.space.params)


def ranking_frame(rows: Sequence[Ranked], params: Mapping[str, Parameter]) -> pd.DataFrame:
    """Returns some rows of a ranking, with the columns of `trials_frame`."""
    names = [field.name for field in fields(Ranked) if field.name != "params"]
    columns = {name: _column(map(attrgetter(name), rows), _TYPES.get(name, "float64")) for name in names}
    for path, parameter in params.items():
        values = (row.params.get(path) for row in rows)
        inside = (value if parameter.domain.contains(value) else None for value in values)
        columns[path] = _column(inside, _param_type(parameter.domain))
    return pd.DataFrame(columns)


def evaluations_frame(run: Run) -> pd.DataFrame:
    """Returns one row for each evaluation, by trial and within a trial in the order of training.

    The columns are the fields of `Eval`, with the length in epochs beside `kimg`, which is missing where the run does
    not say how many training images it has. Times have the zone UTC. The rows of a trial that continues another one do
    not repeat the evaluations of the other.
    """
    names = [field.name for field in fields(Eval) if field.name != "event"]
    places = {"trial_id": -1, "number": -1, "node": 1, "time": 1}
    names.sort(key=lambda name: places.get(name, 0))
    rows = [row for trial in run.ledger.values() for row in trial.evals]
    columns = {name: _column(map(attrgetter(name), rows), _TYPES.get(name, "float64")) for name in names}
    frame = pd.DataFrame(columns)
    epochs = _column((run.manifest.epochs(row.kimg) for row in rows), "float64")
    frame.insert(names.index("kimg") + 1, "epoch", epochs)
    return frame


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """Writes a frame as a Parquet file. There a column has values of one type, so mixed choices become texts."""
    mixed = {
        str(name): column.astype("string").astype("category")
        for name, column in frame.items()
        if isinstance(column.dtype, pd.CategoricalDtype) and len(set(map(type, column.cat.categories))) > 1
    }
    frame.assign(**mixed).to_parquet(path, index=False)


def _column(values: Iterable[Any], dtype: Any) -> pd.Series:
    return pd.Series(list(values), dtype=dtype)


def _param_type(domain: Domain) -> Any:
    if domain.name == "FloatDistribution":
        return "float64"
    if domain.name == "IntDistribution":
        return "Int64"
    if all(isinstance(choice, bool) for choice in domain.choices):
        return "boolean"
    return pd.CategoricalDtype([choice for choice in dict.fromkeys(domain.choices) if choice is not None])
