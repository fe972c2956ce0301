"""Makes the plan of a new search from a space and what the user has chosen."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gansearch.config import describe
from gansearch.errors import UserError
from gansearch.run import Options, Plan, RunDir, Space
from gansearch.search.find_space import configure

logger = logging.getLogger(__name__)


def plan_search(
    space: Space, run: RunDir, changes: Mapping[str, Any], max_kimg: float | None = None, **options: Any
) -> Plan:
    """Returns the plan of a new search. Nothing is built yet, so options of components are not checked.

    Args:
        space: What to search.
        run: Where the run will lie.
        changes: Options that are set in the space, by dotted path. A parameter among them is not searched.
        max_kimg: The full length of a trial, rounded to whole batches; None keeps the space's.
        **options: Fields of `gansearch.run.Options`. Without `trials` there are as many as the space says; a
            `storage` that is a path becomes absolute.

    Raises:
        UserError: An option is unknown or outside its domain, or the first rung lies beyond the full length.
    """
    space = configure(space, changes, max_kimg)
    train = space.base.train
    if max_kimg and train.max_kimg != max_kimg:
        logger.info("length: %g kimg, the nearest with all evaluations at whole batches", train.max_kimg)
    storage = options.get("storage")
    if storage and "://" not in storage:
        options["storage"] = str(Path(storage).absolute())
    try:
        chosen = Options(**{"trials": space.trials, **options})
    except ValidationError as error:
        raise UserError(describe(error)) from None
    if chosen.first_rung is not None and chosen.first_rung > train.evaluations:
        raise UserError(
            f"--first-rung {chosen.first_rung}: a trial has {train.evaluations} evaluations; give at most that"
        )
    return Plan(run, space, chosen)
