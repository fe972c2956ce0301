"""A plan: what a search was told, written down, and changed where it is extended."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from optuna.distributions import FloatDistribution

from gansearch.config import TrialConfig
from gansearch.errors import UserError
from gansearch.run.manifest import Options, Plan, load_plan
from gansearch.run.paths import RunDir
from gansearch.run.space import Space

from ..metrics.test_protocol import PROTOCOL

SPACE = Space(base=TrialConfig(), params={"optim.g_lr": FloatDistribution(1e-4, 1e-2, log=True)}, baselines=[])


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    (tmp_path / "run").mkdir()
    plan = Plan(RunDir(tmp_path / "run"), SPACE, Options(trials=16, seed=3, time_budget=60.0, gpus_per_trial=0.0))
    plan.save(PROTOCOL, None)
    return plan


def kimg(plan: Plan) -> list[float]:
    return [images / 1000 for images in plan.rungs]


def test_what_is_saved_is_loaded(plan: Plan) -> None:
    assert load_plan(plan.run) == (plan, PROTOCOL)


@pytest.mark.parametrize(
    ("wanted", "length", "rungs"),
    [
        (28.8, 28.8, [1.6, 4.8, 14.4, 28.8]),
        (28.0, 28.8, [1.6, 4.8, 14.4, 28.8]),
        (14.5, 16.0, [1.6, 4.8, 14.4, 16.0]),
        (60.0, 60.8, [1.6, 4.8, 14.4, 43.2, 60.8]),
    ],
)
def test_a_longer_plan_keeps_its_rungs(plan: Plan, wanted: float, length: float, rungs: list[float]) -> None:
    longer = plan.extended(0, wanted)
    assert longer.space.base.train.max_kimg == length
    assert kimg(longer) == rungs and kimg(plan) == [1.6, 4.8, 14.4]
    assert longer.options.trials == 16
    assert kimg(longer.extended(0, 90.0))[:4] == [1.6, 4.8, 14.4, 43.2]


def test_more_trials_change_nothing_else(plan: Plan) -> None:
    assert plan.extended(4, None) == replace(plan, options=replace(plan.options, trials=20))


@pytest.mark.parametrize(
    ("trials", "max_kimg", "says"),
    [
        (0, None, "nothing to extend: give --trials"),
        (0, 14.4, "trials have 14.4 kimg already"),
        (4, 3.0, "--max-kimg 3: trials have 14.4"),
    ],
)
def test_what_extends_nothing_is_refused(plan: Plan, trials: int, max_kimg: float | None, says: str) -> None:
    with pytest.raises(UserError, match=says):
        plan.extended(trials, max_kimg)


def test_more_of_the_same_is_refused(plan: Plan) -> None:
    with pytest.raises(UserError, match=r"--trials \+2: the run searches nothing"):
        replace(plan, space=SPACE.replaced(params={})).extended(2, None)


def test_an_amended_run_says_what_it_is_now_and_when_it_became_so(plan: Plan) -> None:
    before = json.loads(plan.run.search_json.read_text())
    longer = plan.extended(4, 28.8)
    longer.amend()
    after = json.loads(plan.run.search_json.read_text())
    assert load_plan(plan.run) == (longer, PROTOCOL)
    assert {name for name in after if after[name] != before.get(name)} == {
        "space",
        "options",
        "budget",
        "fingerprint",
        "extended",
    }
    assert (after["budget"]["trials"], after["budget"]["max_kimg"]) == (20, 28.8)
    longer.extended(1, None).amend()
    assert len(json.loads(plan.run.search_json.read_text())["extended"]) == 2


def test_a_run_knows_its_name_from_within_and_its_checkpoints_when_renamed(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = replace(plan, options=replace(plan.options, storage="s3://bucket"))
    stored.save(PROTOCOL, None)
    monkeypatch.chdir(plan.run.path)
    assert load_plan(RunDir(Path()))[0].checkpoints == "s3://bucket/run"
    renamed = RunDir(plan.run.path.rename(plan.run.path.with_name("other")))
    with pytest.raises(UserError, match="another name than when it started: its checkpoints are s3://bucket/run"):
        load_plan(renamed)
