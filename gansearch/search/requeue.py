"""What `start --or-resume` asks: whether the search that a command line describes was started before, and is complete.

A scheduler of jobs runs the same command line again after every interruption.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import TypeAdapter

from gansearch.errors import UserError
from gansearch.program import command
from gansearch.run import Options, Plan, Run, Space, load
from gansearch.run.manifest import RESOURCES
from gansearch.search.decisions import Decisions
from gansearch.search.queue import search_queue

_MOST_NAMED = 3


def earlier_start(asked: Plan) -> Run | None:
    """Returns the run of a plan where it was started before, None where it was not.

    A run that was extended since has more trials than asked for, or longer ones, and goes on as it was extended.

    Raises:
        UserError: The run is damaged, or it is another search than the one asked for.
    """
    if not asked.run.search_json.exists():
        return None
    run = load(asked.run)
    saved, wanted = (dict(_settings(plan)) for plan in (run.plan, _extended(asked, run)))
    # The decision of `auto` is saved, and so is what the code of components looked like.
    if wanted["train.precision"] == "auto":
        saved["train.precision"] = "auto"
    other = [path for path in sorted(saved | wanted) if saved.get(path) != wanted.get(path)]
    if other:
        named = ", ".join(f"{path} {saved.get(path)} / {wanted.get(path)}" for path in other[:_MOST_NAMED])
        more = f" and {len(other) - _MOST_NAMED} more" if len(other) > _MOST_NAMED else ""
        again = command("resume", asked.run.path, *run.plan.search_flags)
        raise UserError(
            f"run {asked.run.path} is another search than this one ({named}{more}): choose another --name, or continue "
            f"it as it is: {again}"
        )
    return run


def _extended(asked: Plan, run: Run) -> Plan:
    """Returns `asked` as it would be extended to what the run has by now."""
    saved = run.plan
    trials, length = saved.options.trials, saved.space.base.train.max_kimg
    more = 0 if trials is None or asked.options.trials is None else max(0, trials - asked.options.trials)
    longer = length if length > asked.space.base.train.max_kimg else None
    return asked.extended(more, longer) if run.manifest.extended and (more or longer) else asked


def _settings(plan: Plan) -> Iterator[tuple[str, Any]]:
    """Yields all that decides what is searched, by dotted path, as it is read from a file."""
    space = Space.model_validate_json(plan.space.model_dump_json()).model_dump(mode="json")
    options = TypeAdapter(Options).dump_python(plan.options, mode="json")
    yield from _flat("", {name: value for name, value in space.pop("base").items() if name != "code"})
    yield from _flat("", {name: value for name, value in space.items() if name != "trials"})
    yield from _flat("", {name: value for name, value in options.items() if name not in RESOURCES})


def _flat(prefix: str, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(f"{prefix}{name}.", value)
        else:
            yield f"{prefix}{name}", value


def is_complete(run: Run) -> bool:
    """Returns whether a search has nothing left to train, and its results were written after that."""
    ledger, report = run.ledger, run.dir.report
    decisions = Decisions(run.plan, ledger)
    return (
        search_queue(run.plan, ledger).is_empty
        and all(trial.end is not None for trial in ledger.values() if not trial.is_final)
        and (decisions.promote() or decisions.release()) is None
        and (run.best_fid is None or (report.exists() and report.stat().st_mtime >= run.dir.results.stat().st_mtime))
    )
