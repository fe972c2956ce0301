"""A run read from its directory, and the one policy for what is damaged."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from optuna.distributions import FloatDistribution

from gansearch.analysis.rank import rank
from gansearch.errors import UserError
from gansearch.run import RunDir, load
from gansearch.run.manifest import SCHEMA_VERSION
from gansearch.run.paths import BEST
from gansearch.run.rows import to_json
from tests.analysis.synthetic_run import (
    BASE,
    FLOOR,
    PARAMS,
    PROTOCOL,
    SPACE,
    damage,
    evaluation,
    make_checkpoint,
    make_run,
    make_search,
    start,
)


def append(run: RunDir, *lines: str) -> None:
    with run.results.open("a") as file:
        file.writelines(line + "\n" for line in lines)


def test_importing_it_loads_nothing_heavy() -> None:
    script = "import gansearch.run, sys; print(*{name.partition('.')[0] for name in sys.modules})"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(found.stdout.split())
    assert "pydantic" in loaded
    assert not loaded & {"torch", "ray", "optuna", "numpy", "pandas", "scipy", "matplotlib", "rich"}


def test_a_run_is_what_was_written(tmp_path: Path) -> None:
    run = load(make_search(tmp_path / "run", floor=FLOOR, trials=5))
    assert (run.manifest.space, run.manifest.protocol, run.manifest.floor) == (SPACE, PROTOCOL, FLOOR)
    assert (run.plan.run, run.plan.space, run.plan.options.trials) == (run.dir, SPACE, 16)
    assert [trial.number for trial in run.ledger.values()] == [0, 1, 2, 3, 4]


def test_a_run_without_rows_has_no_trials(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", [])
    assert load(run).ledger == {}
    run.results.unlink()
    assert load(run).ledger == {}


def test_a_torn_last_row_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = make_run(tmp_path / "run", [start(0), evaluation(0, 6.4, 50.0)])
    run.results.write_bytes(run.results.read_bytes() + to_json(evaluation(0, 12.8, 10.0)).encode()[:-20])
    assert [row.best_fid for row in rank(load(run))] == [50.0]
    (record,) = caplog.records
    assert "left out what is no whole row (line 3: Invalid JSON" in record.message


def test_a_row_that_breaks_the_schema_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = make_run(tmp_path / "run", [start(0), evaluation(0, 6.4, 50.0)])
    append(run, to_json(evaluation(0, 12.8, 1.0)).replace('"fid": 1.0', '"fid": NaN'))
    append(run, to_json(start(1)).replace('"0001"', '"../../../victim"'))
    assert [(row.trial_id, row.best_fid) for row in rank(load(run))] == [("0000", 50.0)]
    (record,) = caplog.records
    assert "line 3: fid: " in record.message and record.message.endswith("and 1 more lines)")


def test_rows_whose_start_is_lost_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lost = [evaluation(3, 6.4, 1.0), evaluation(3, 12.8, 0.5), evaluation(9, 6.4, 1.0, protocol="another")]
    run = load(make_run(tmp_path / "run", [start(0), evaluation(0, 6.4, 50.0), *lost]))
    assert [(row.trial_id, row.best_fid) for row in rank(run)] == [("0000", 50.0)]
    assert run.ledger.next_number == 10
    (record,) = caplog.records
    assert record.message == f"{run.dir.results}: left out the rows of trials whose start row is lost (0003, 0009)"


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"name": "x"}', "\xff"])
def test_a_broken_search_json_is_refused(tmp_path: Path, text: str) -> None:
    run = make_run(tmp_path / "run", [])
    run.search_json.write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match=r"search\.json is broken \(.*\): restore the file") as error:
        load(run)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"schema_version": 2},
            rf"\(schema version 2, this gansearch reads {SCHEMA_VERSION}: use the gansearch that wrote the run",
        ),
        ({"schema_version": None}, "schema version None"),
        ({"schema_version": 5, "versions": {"gansearch": "9.8"}}, "use the gansearch that wrote the run, 9.8"),
        ({"schema_version": 5, "versions": None}, "the run, whose version it does not say"),
        ({"protocol": PROTOCOL.to_record() | {"num_fake": "1024"}}, r"\(protocol: num_fake=1024: "),
        ({"created": "yesterday"}, r"\(created"),
        ({"protocol": {"hash": PROTOCOL.hash}}, r"\(protocol: not a protocol: missing or unknown .*seed"),
        ({"protocol": PROTOCOL.to_record() | {"seed": 1}}, r"\(protocol: the hash .* is not that of the protocol"),
        ({"protocol": "0123"}, r"\(protocol"),
        ({"floor": {"split": "test", "images": 360}}, r"\(floor"),
        ({"floor": {"split": "test", "images": 360, "fid": -1}}, r"\(floor"),
        ({"floor": {"split": "test", "images": 360, "fid": "x"}}, r"\(floor"),
        ({"floor": 0.29}, r"\(floor"),
        ({"options": {"trials": 0}}, r"\(options\.trials"),
        ({"options": {"trials": 2, "colour": "red"}}, r"\(options\.colour"),
        ({"space": None}, r"\(space"),
        ({"space": {"base": {"train": {"batch": 0}}, "params": {}}}, r"\(space\.base\.train\.batch"),
        ({"space": {"base": {}, "params": {"a.b": {"domain": {"name": "Normal"}}}}}, r"params\.a\.b\.domain\.name"),
    ],
)
def test_a_damaged_field_of_search_json_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    run = make_run(tmp_path / "run", [])
    damage(run, **changes)
    with pytest.raises(UserError, match=r"search\.json is broken.*" + message) as error:
        load(run)
    assert "\n" not in str(error.value)


def test_a_search_json_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", [])
    run.search_json.unlink()
    run.search_json.mkdir()
    with pytest.raises(UserError, match=r"search\.json cannot be read \(Is a directory\)"):
        load(run)


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"metrics.num_fake": 99, "metrics.chunk": 9}, "in metrics.num_fake 1024 / 99, metrics.chunk None / 9: "),
        ({"data.resolution": 16}, "in data.resolution 32 / 16: "),
        ({"optim.g_lr": 1e-3}, "in no option that is known, so in the images or the weights: "),
        (None, "in no option that is known, so in the images or the weights: "),
    ],
)
def test_fids_of_another_protocol_are_refused(tmp_path: Path, changes: dict[str, Any] | None, difference: str) -> None:
    rows = [start(0), evaluation(0, 6.4, 50.0), evaluation(0, 12.8, 49.0), start(1)]
    run = make_run(tmp_path / "run", [*rows, evaluation(1, 6.4, 40.0, protocol="ffff00001111")])
    if changes is not None:
        for number, config in enumerate((BASE, BASE.override(changes))):
            run.trial(f"{number:04d}").mkdir(parents=True)
            run.trial_config(f"{number:04d}").write_text(config.to_json())
    with pytest.raises(UserError, match="FIDs of other protocols than its own") as error:
        load(run)
    found = f"{PROTOCOL.hash} (2 evaluations), ffff00001111 (1 evaluations); ffff00001111 differs "
    assert found + difference in str(error.value) and "\n" not in str(error.value)


def test_fids_of_one_protocol_that_is_not_the_run_s_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="FIDs of other protocols than its own"):
        load(make_run(tmp_path / "run", [start(0), evaluation(0, 6.4, 50.0, protocol="ffff00001111")]))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"optim.g_lr": 1.0}, r"trial 0000 has optim\.g_lr=1\.0, which is outside the space"),
        ({"optim.g_lr": True}, r"optim\.g_lr=True"),
        ({"optim.g_lr": "0.001"}, r"optim\.g_lr=0\.001"),
        ({"loss.name": "bec"}, r"loss\.name=bec"),
        ({"train.batch": 32}, r"train\.batch=32"),
    ],
)
def test_parameters_outside_the_space_are_read_but_nothing_follows_from_them(
    tmp_path: Path, params: dict[str, Any], message: str, caplog: pytest.LogCaptureFixture
) -> None:
    run = load(make_run(tmp_path / "run", [start(0, params), evaluation(0, 6.4, 50.0)]))
    assert [row.best_fid for row in rank(run)] == [50.0]
    (record,) = caplog.records
    assert re.search(rf"results\.jsonl: .*{message}", record.message)
    with pytest.raises(UserError, match=rf"results\.jsonl: .*{message}.*: undo what was changed there") as error:
        run.require_its_space()
    assert "\n" not in str(error.value)


def test_a_trial_has_all_parameters_that_apply(tmp_path: Path) -> None:
    params = {"optim.g_lr": FloatDistribution(1e-4, 1e-2), **{key: PARAMS[key] for key in ("loss.name", "loss.clip")}}
    whole = [start(0, {"optim.g_lr": 1e-3, "loss.name": "bce"})]
    whole += [start(1, {"optim.g_lr": 1e-3, "loss.name": "wgan", "loss.clip": 0.01})]
    load(make_run(tmp_path / "whole", whole, params)).require_its_space()
    for lacking, path in (
        ({"loss.name": "bce"}, "optim.g_lr"),
        ({"optim.g_lr": 1e-3, "loss.name": "wgan"}, "loss.clip"),
    ):
        run = load(make_run(tmp_path / path, [*whole, start(2, lacking)], params))
        with pytest.raises(UserError, match=f"trial 0002 has no {path}, which is a parameter of the space"):
            run.require_its_space()


def test_a_row_with_a_parameter_that_is_not_finite_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = make_run(tmp_path / "run", [])
    append(run, to_json(start(0, {"optim.g_lr": 1e-3})).replace("0.001", "NaN"))
    assert load(run).ledger == {}
    (record,) = caplog.records
    assert "line 1: params.optim.g_lr: a value is a finite number" in record.message


def test_the_files_of_trials_are_not_needed(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", [start(0), evaluation(0, 6.4, 50.0)])
    assert {path.name for path in run.path.iterdir()} == {"search.json", "results.jsonl"}
    assert [row.best_fid for row in rank(load(run))] == [50.0]


def test_the_newest_whole_checkpoint_is_found(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", [start(0), evaluation(0, 6.4, 50.0), start(1)])
    for name in ("checkpoint_000006400", "checkpoint_000019200", "checkpoint_000057600.tmp", "checkpoint_x"):
        make_checkpoint(run.trial("0000") / name)
    (run.trial("0000") / "checkpoint_000025600").touch()
    make_checkpoint(run.trial("0000") / "checkpoint_000032000")
    (run.trial("0000") / "checkpoint_000032000" / BEST).unlink()
    assert load(run).checkpoint("0000") == str(run.trial("0000") / "checkpoint_000019200")
    assert load(run).checkpoint("0001") is None


def test_a_longer_name_of_a_checkpoint_is_newer(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", [start(0)])
    for name in ("checkpoint_999999999", "checkpoint_1000000000"):
        make_checkpoint(run.trial("0000") / name)
    assert load(run).checkpoint("0000") == str(run.trial("0000") / "checkpoint_1000000000")


@pytest.mark.parametrize("storage", ["s3://bucket/prefix", "s3://bucket/prefix/"])
def test_checkpoints_that_lie_elsewhere_have_a_uri(tmp_path: Path, storage: str) -> None:
    run = make_search(tmp_path / "run", storage=storage)
    for row in rank(load(run)):
        assert row.checkpoint == (f"s3://bucket/prefix/run/{row.trial_id}" if row.rank else None)
    assert json.loads(run.search_json.read_text())["checkpoints"] == "s3://bucket/prefix/run"


def test_the_ratios_of_a_trial_are_read_like_its_other_parameters(tmp_path: Path) -> None:
    key = "optim.d_lr/optim.g_lr"
    space = {key: FloatDistribution(0.25, 4.0, log=True), "optim.g_lr": FloatDistribution(1e-4, 1e-2, log=True)}
    params = {key: 0.1 + 0.2, "optim.g_lr": 1e-3}
    run = load(make_run(tmp_path / "run", [start(0, params)], params=space))
    assert run.ledger["0000"].start.params == params
    with pytest.raises(UserError, match=r"trial 0000 has optim\.d_lr/optim\.g_lr=5\.0, which is outside the space"):
        load(make_run(tmp_path / "other", [start(0, params | {key: 5.0})], params=space)).require_its_space()


def test_other_versions_of_what_decides_an_fid_are_said(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", [])
    versions = load(run).manifest.versions
    assert load(run).manifest.other_versions is None
    damage(run, versions=versions | {"torch": "1.0", "numpy": "1.0"})
    other = f"the run was started with torch 1.0, this is torch {versions['torch']}: FIDs may differ slightly"
    assert load(run).manifest.other_versions == other
    damage(run, versions={"ray": versions["ray"]})
    assert "torch of an unknown version" in str(load(run).manifest.other_versions)
