"""What a search decides, how `search.json` holds it, and how a plan is extended."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution
from pydantic import ValidationError

from gansearch.config import TrainConfig, TrialConfig
from gansearch.errors import UserError
from gansearch.run import Floor, Manifest, Options, Plan, RunDir, Space
from gansearch.run.manifest import SCHEMA_VERSION, rungs

from .test_protocol import PROTOCOL

SPACE = Space(base=TrialConfig(), params={"optim.g_lr": FloatDistribution(1e-4, 1e-2, log=True)})
FLOOR = Floor(split="test", images=360, fid=0.29)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    (tmp_path / "run").mkdir()
    return Plan(RunDir(tmp_path / "run"), SPACE, Options(trials=16, seed=3, time_budget=60.0, gpus_per_trial=0.0))


def kimg(plan: Plan) -> list[float]:
    return [images / 1000 for images in plan.rungs]


@pytest.mark.parametrize("floor", [FLOOR, None])
def test_what_is_saved_is_loaded(plan: Plan, floor: Floor | None) -> None:
    manifest = plan.manifest(PROTOCOL, floor, gpus_per_trial=0.25, num_train=1437)
    manifest.save(plan.run)
    assert Manifest.load(plan.run) == manifest
    assert (manifest.space, manifest.options, manifest.protocol, manifest.floor) == (
        plan.space,
        plan.options,
        PROTOCOL,
        floor,
    )
    assert list(plan.run.path.iterdir()) == [plan.run.search_json]


def test_an_epoch_shows_each_training_image_once(plan: Plan) -> None:
    assert plan.manifest(PROTOCOL, FLOOR, num_train=1500).epochs(4.5) == 3
    assert plan.manifest(PROTOCOL, FLOOR).epochs(4.5) is None


def test_search_json_can_be_read_without_the_package(plan: Plan) -> None:
    plan.manifest(PROTOCOL, FLOOR, gpus_per_trial=0.25).save(plan.run)
    content = json.loads(plan.run.search_json.read_text())
    assert (content["schema_version"], content["name"], content["seed"]) == (SCHEMA_VERSION, "run", 3)
    assert content["protocol"] == {"hash": PROTOCOL.hash, **dataclasses.asdict(PROTOCOL)}
    assert content["floor"] == dataclasses.asdict(FLOOR)
    assert content["budget"] == {
        "trials": 16,
        "max_kimg": 14.4,
        "evaluations": 9,
        "rungs": [1.6, 4.8, 14.4],
        "time_budget": 60.0,
        "gpu_hours": None,
    }
    assert (content["gpus_per_trial"], content["checkpoints"], content["extended"]) == (0.25, None, [])
    assert {"python", "torch", "ray", "optuna"} <= set(content["versions"])


def with_options(plan: Plan, **options: Any) -> Plan:
    return dataclasses.replace(plan, options=dataclasses.replace(plan.options, **options))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"first_rung": 2}, "first_rung belongs to the run"),
        ({"time_budget": 9.0, "scheduler": None}, "scheduler belongs to the run"),
        ({"sampler": "random"}, "sampler belongs to the run"),
        ({"max_concurent": 2}, "unknown resource 'max_concurent'; did you mean max_concurrent"),
        ({"gpu_hours": -1.0}, "gpu_hours"),
    ],
)
def test_a_driver_has_its_own_resources_and_nothing_else(plan: Plan, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        plan.with_resources(changes)


def test_the_fingerprint_depends_on_space_seed_and_protocol_alone(plan: Plan) -> None:
    def fingerprint(plan: Plan, protocol: Any = PROTOCOL) -> str:
        return plan.manifest(protocol, None).fingerprint

    own = fingerprint(plan)
    assert own == fingerprint(plan.with_resources({"max_concurrent": 2, "time_budget": None}))
    others = [
        fingerprint(with_options(plan, seed=4)),
        fingerprint(dataclasses.replace(plan, space=SPACE.replaced(params={}))),
        fingerprint(plan, dataclasses.replace(PROTOCOL, seed=1)),
    ]
    assert len({own, *others}) == 4


@pytest.mark.parametrize(
    "changes",
    [
        {"trials": 0},
        {"seed": -1},
        {"eta": 1},
        {"first_rung": 0},
        {"time_budget": 0.0},
        {"gpu_hours": math.inf},
        {"cpus_per_trial": 0},
        {"gpus_per_trial": -0.5},
        {"gpus_per_trial": 2},
        {"colour": "red"},
    ],
)
def test_options_that_make_no_sense_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(changes))):
        Options(**{"trials": 4} | changes)


@given(evaluations=st.integers(1, 200), eta=st.integers(2, 6), first=st.none() | st.integers(1, 20))
def test_rungs_lie_a_factor_apart_and_later_ones_in_the_first_half(
    evaluations: int, eta: int, first: int | None
) -> None:
    train = TrainConfig(batch=10, evaluations=evaluations, max_kimg=evaluations * 0.01)
    *decisions, last = [images // train.eval_images for images in rungs(train, eta, first)]
    assert last == evaluations and all(step < evaluations for step in decisions)
    lowest = first or max(1, round(evaluations / 27))
    later = [step for k in range(1, 10) if (step := lowest * eta**k) <= evaluations / 2]
    assert decisions == [step for step in [lowest, *later] if step < evaluations]


@pytest.mark.parametrize(
    ("wanted", "length", "rungs"),
    [
        (28.8, 28.8, [1.6, 4.8, 14.4, 28.8]),
        (28.0, 28.8, [1.6, 4.8, 14.4, 28.8]),
        (14.5, 16.0, [1.6, 4.8, 16.0]),
        (60.0, 60.8, [1.6, 4.8, 14.4, 60.8]),
    ],
)
def test_a_longer_plan_has_the_same_rungs_and_those_of_its_first_half(
    plan: Plan, wanted: float, length: float, rungs: list[float]
) -> None:
    longer = plan.extended(0, wanted)
    assert longer.space.base.train.max_kimg == length
    assert kimg(longer) == rungs and kimg(plan) == [1.6, 4.8, 14.4]
    assert longer.options.trials == 16
    assert kimg(longer.extended(0, 90.0))[:4] == [1.6, 4.8, 14.4, 43.2]


def test_more_trials_change_nothing_else(plan: Plan) -> None:
    assert plan.extended(4, None) == with_options(plan, trials=20)


@pytest.mark.parametrize(
    ("trials", "max_kimg", "message"),
    [
        (0, None, "nothing to extend: give --trials"),
        (-5, None, "-5 more trials: those of a search stay; give a number above 0"),
        (0, 14.4, "trials have 14.4 kimg already"),
        (4, 3.0, "--max-kimg 3: trials have 14.4"),
    ],
)
def test_what_extends_nothing_is_refused(plan: Plan, trials: int, max_kimg: float | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        plan.extended(trials, max_kimg)


def test_more_of_the_same_is_refused(plan: Plan) -> None:
    with pytest.raises(UserError, match=r"--trials \+2: the run searches nothing"):
        dataclasses.replace(plan, space=SPACE.replaced(params={})).extended(2, None)


def test_an_extended_manifest_has_the_new_plan_and_when_it_was_extended(plan: Plan) -> None:
    first = plan.manifest(PROTOCOL, FLOOR)
    longer = plan.extended(4, 28.8)
    second = longer.amended(first)
    assert (second.space, second.options) == (longer.space, longer.options)
    before, after = first.model_dump(), second.model_dump()
    changed = {"space", "options", "budget", "fingerprint", "extended"}
    assert {name for name in after if after[name] != before[name]} == changed
    assert (after["budget"]["trials"], after["budget"]["max_kimg"]) == (20, 28.8)
    assert len(longer.extended(1, None).amended(second).extended) == 2
    second.save(plan.run)
    assert Manifest.load(plan.run) == second


def test_a_single_trial_has_no_rungs(plan: Plan) -> None:
    assert plan.manifest(PROTOCOL, None).rungs_kimg == [1.6, 4.8, 14.4]
    assert with_options(plan, trials=1).manifest(PROTOCOL, None).rungs_kimg == []


def test_a_run_whose_checkpoints_lie_elsewhere_cannot_be_renamed(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = with_options(plan, storage="s3://bucket")
    stored.manifest(PROTOCOL, None).save(plan.run)
    monkeypatch.chdir(plan.run.path)
    assert Manifest.load(RunDir(Path())).checkpoints == "s3://bucket/run"
    renamed = RunDir(plan.run.path.rename(plan.run.path.with_name("other")))
    with pytest.raises(UserError, match="another name than when it started: its checkpoints are s3://bucket/run"):
        Manifest.load(renamed)


def test_a_run_with_its_own_checkpoints_can_be_renamed(plan: Plan) -> None:
    plan.manifest(PROTOCOL, None).save(plan.run)
    renamed = RunDir(plan.run.path.rename(plan.run.path.with_name("other")))
    assert Manifest.load(renamed).name == "run"


def test_a_folder_that_refuses_the_file_is_named(plan: Plan) -> None:
    plan.run.search_json.mkdir()
    with pytest.raises(UserError, match=r"can't write .*search\.json \(.*\): fix that first"):
        plan.manifest(PROTOCOL, None).save(plan.run)
