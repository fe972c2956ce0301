"""Makes the plan of a new search from a space and what the user has chosen."""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gansearch import foreign
from gansearch.config import Component, describe, reference
from gansearch.errors import UserError
from gansearch.run import Options, Plan, RunDir, Space
from gansearch.search.find_space import configure
from gansearch.text import kimg_text

logger = logging.getLogger(__name__)


def plan_search(
    space: Space,
    run: RunDir,
    changes: Mapping[str, Any],
    max_kimg: float | None = None,
    *,
    sampler: str | type = "tpe",
    scheduler: str | type | None = "asha",
    loggers: Iterable[str | type] = (),
    **options: Any,
) -> Plan:
    """Returns the plan of a new search. Nothing is built yet, so options of components are not checked.

    Args:
        space: What to search.
        run: Where the run will lie.
        changes: Options that are set in the space, by dotted path. A parameter among them is not searched. Options of
            the sampler are `sampler.OPTION`, those of the scheduler `scheduler.OPTION`, those of a logger
            `logger.NAME.OPTION`.
        max_kimg: The full length of a trial, rounded to whole batches; None keeps the space's.
        sampler: The name of a sampler, `MODULE:CLASS`, or a class.
        scheduler: The name of a scheduler, `MODULE:CLASS`, or a class; with `none` or None every trial goes on.
        loggers: Names or classes of loggers.
        **options: Further fields of `gansearch.run.Options`. Without `trials` a budget alone ends the search, and
            without a budget there are as many trials as the space says. A `storage` that is a path becomes absolute.

    Raises:
        UserError: An option is unknown or outside its domain, nothing is searched by several trials, or the first rung
            lies beyond the full length.
    """
    changes = dict(changes)
    if not isinstance(loggers, str | type | Iterable):
        raise UserError(f"loggers: {loggers!r} is neither a name nor a class, nor a list of these")
    names = [loggers] if isinstance(loggers, str | type) else list(loggers)
    own = {
        "sampler": _chosen("sampler", sampler, changes),
        "scheduler": None if scheduler is None or scheduler == "none" else _chosen("scheduler", scheduler, changes),
        "loggers": tuple(_chosen(f"logger.{reference(name)}", name, changes) for name in names),
    }
    _refuse_leftovers(changes)
    space = configure(space, changes, max_kimg)
    train = space.base.train
    if max_kimg and train.max_kimg != max_kimg:
        logger.info("length: %s kimg, the nearest with all evaluations at whole batches", kimg_text(train.max_kimg))
    if isinstance(storage := options.get("storage"), str | Path) and str(storage):
        options["storage"] = str(storage) if "://" in str(storage) else str(Path(storage).absolute())
    try:
        has_budget = any(options.get(name) is not None for name in ("time_budget", "gpu_hours"))
        chosen = Options(**{"trials": None if has_budget else space.trials, **own, **options})
    except ValidationError as error:
        raise UserError(describe(error)) from None
    most = max(1, train.evaluations // 2)
    if chosen.first_rung is not None and chosen.first_rung > most:
        raise UserError(
            f"--first-rung {chosen.first_rung}: a trial has {train.evaluations} evaluations, and no rung lies in their "
            f"second half; give at most {most}"
        )
    return Plan(run, space, chosen)


def _chosen(prefix: str, choice: Any, changes: dict[str, Any]) -> Component:
    """Returns the component of a choice, with its options, which are taken out of `changes`; permits its code."""
    name = reference(choice)
    if not isinstance(name, str):
        raise UserError(f"{prefix}: {choice!r} is neither a name nor a class")
    foreign.permit([name])
    paths = [path for path in changes if path.startswith(f"{prefix}.") and path != f"{prefix}.name"]
    options = {path.removeprefix(f"{prefix}."): changes.pop(path) for path in paths}
    return Component.model_validate({"name": name, **options})


def _refuse_leftovers(changes: Mapping[str, Any]) -> None:
    """Raises UserError for an option of a sampler, a scheduler or a logger that this search does not have."""
    for path in changes:
        kind, _, rest = path.partition(".")
        if kind in {"sampler", "scheduler", "logger"}:
            given = f"--{kind} NAME"
            raise UserError(
                f"{path}: choose it with {given}"
                if rest.endswith("name")
                else f"{path} is an option of nothing that this search uses: give {given} too"
            )
