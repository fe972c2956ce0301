"""What `start --or-resume` finds out without Ray: whether a run is the one asked for, and whether it is complete."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gansearch.errors import UserError
from gansearch.run import Ledger, Plan, Run, RunDir, load
from gansearch.run.rows import read
from gansearch.search.find_space import find_space, space_files
from gansearch.search.planning import plan_search
from gansearch.search.requeue import earlier_start, is_complete
from tests.run.test_protocol import PROTOCOL
from tests.search.virtual import VirtualSearch, plan_of


def asked(folder: Path, space: str = "digits", changes: dict[str, Any] | None = None, **options: Any) -> Plan:
    return plan_search(find_space(space), RunDir(folder), changes or {}, options.pop("max_kimg", None), **options)


def start(plan: Plan) -> Plan:
    """Writes what a start writes, which has decided the precision."""
    plan.run.path.mkdir()
    base = plan.space.base.override({"train.precision": "float32"})
    decided = replace(plan, space=plan.space.replaced(base=base))
    decided.manifest(PROTOCOL, None).save(plan.run)
    return decided


@pytest.mark.parametrize("space", space_files())
def test_the_same_command_line_finds_its_run(space: str, tmp_path: Path) -> None:
    plan = asked(tmp_path / "run", space)
    assert earlier_start(plan) is None
    start(plan)
    found = earlier_start(asked(tmp_path / "run", space, max_concurrent=2, cpus_per_trial=2.0))
    assert found is not None and found.plan.run == plan.run


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"seed": 1}, "seed 0 / 1"),
        ({"trials": 7}, "trials 6 / 7"),
        ({"max_kimg": 14.4}, "train.max_kimg"),
        ({"changes": {"train.batch": 32}}, "train.batch 64 / 32"),
        ({"changes": {"loss.name": "bce"}}, "loss.name"),
        ({"scheduler": None}, "scheduler"),
        ({"storage": "s3://bucket"}, "storage None / s3://bucket"),
        ({"space": "sagan32"}, "data.name"),
        ({"trials": 5}, "trials 6 / 5"),
    ],
)
def test_another_search_of_that_name_is_refused(options: dict[str, Any], named: str, tmp_path: Path) -> None:
    start(asked(tmp_path / "run", trials=6))
    with pytest.raises(UserError, match="is another search than this one") as refusal:
        earlier_start(asked(tmp_path / "run", **{"trials": 6, **options}))
    assert named in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_an_extended_run_is_the_one_that_was_asked_for(tmp_path: Path) -> None:
    plan = start(asked(tmp_path / "run", trials=6))
    for more, length in ((2, None), (0, 40.0), (3, 80.0)):
        run = load(plan.run)
        run.plan.extended(more, length).amended(run.manifest).save(plan.run)
        found = earlier_start(asked(tmp_path / "run", trials=6))
        assert found is not None and found.plan.options.trials == run.plan.options.trials + more
    with pytest.raises(UserError, match="trials 11 / 12"):
        earlier_start(asked(tmp_path / "run", trials=12))


def test_a_run_is_complete_when_its_results_are_written(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, trials=5)

    def complete() -> bool:
        rows = read(plan.run.results) if plan.run.results.exists() else []
        return is_complete(Run(plan.run, plan.manifest(PROTOCOL, None), Ledger(rows)))

    assert not complete()
    VirtualSearch(plan, 1).finish()
    assert not complete(), "its driver was killed while it wrote the results"
    plan.run.report.parent.mkdir()
    plan.run.report.touch()
    assert complete()
