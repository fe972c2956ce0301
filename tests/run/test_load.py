import json
from dataclasses import asdict

import pytest
from gansearch.analysis.load import Space, load

from gansearch.config import TrialConfig
from gansearch.errors import UserError
from gansearch.run.manifest import Options, Plan, load_plan
from gansearch.run.paths import RunDir
from gansearch.run.protocol import Floor, Protocol
from gansearch.run.rows import to_json
from gansearch.run.space import Space as SearchSpace
from tests.analysis.synthetic_run import FLOOR, PARAMS, PROTOCOL, evaluation, make_run, make_search, start

SPACE = Space.model_validate({"base": {"loss": {"name": "bce"}}, "params": PARAMS})


def test_protocols_are_not_mixed(tmp_path):
    rows = [
        start("a", 0),
        evaluation("a", 0, 6.4, 50.0),
        start("b", 1),
        evaluation("b", 1, 6.4, 40.0, protocol="ffff00001111"),
    ]
    with pytest.raises(UserError, match="protocols") as error:
        ranked_run(make_run(tmp_path / "run", rows))
    assert PROTOCOL in str(error.value) and "ffff00001111" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"metrics.num_fake": 99, "metrics.chunk": 9}, "differ in metrics.chunk None / 9, metrics.num_fake 1024 / 99;"),
        ({"data.resolution": 16}, "differ in data.resolution 32 / 16;"),
        ({"optim.g_lr": 1e-3}, "differ in no option, so in the images or the weights;"),
    ],
)
def test_protocols_that_meet_are_told_apart_by_their_options(tmp_path, changes, said):
    rows = [start("a", 0), evaluation("a", 0, 6.4, 50.0), evaluation("a", 0, 12.8, 49.0), start("b", 1)]
    run = make_run(tmp_path / "run", [*rows, evaluation("b", 1, 6.4, 40.0, protocol="ffff00001111")])
    for trial_id, config in (("a", TrialConfig()), ("b", TrialConfig().override(changes))):
        run.trial(trial_id).mkdir(parents=True)
        run.trial_config(trial_id).write_text(config.to_json())
    with pytest.raises(UserError, match="cannot be ranked together") as error:
        ranked_run(run)
    assert said in str(error.value)


def test_a_torn_last_row_is_left_out(tmp_path, capsys):
    run = make_run(tmp_path / "run", [start("a", 0), evaluation("a", 0, 6.4, 50.0)])
    with run.results.open("a") as file:
        file.write(to_json(evaluation("a", 0, 12.8, 10.0))[:-20])
    assert [row.best_fid for row in ranked_run(run)] == [50.0]
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_fid_that_is_no_number_is_left_out(tmp_path, capsys):
    run = make_run(tmp_path / "run", [start("a", 0), evaluation("a", 0, 6.4, 50.0)])
    with run.results.open("a") as file:
        file.write(to_json(evaluation("a", 0, 12.8, 1.0)).replace('"fid": 1.0', '"fid": NaN') + "\n")
        file.write(to_json(evaluation("lost", 9, 12.8, 1.0)) + "\n")
    assert [(row.trial_id, row.best_fid) for row in ranked_run(run)] == [("a", 50.0)]
    assert "left out 2 rows" in capsys.readouterr().err


def test_a_run_without_rows_has_no_trials(tmp_path):
    run = make_run(tmp_path / "run", [])
    run.results.unlink()
    assert ranked_run(run) == []


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"name": "x"}'])
def test_a_broken_search_json_is_named(tmp_path, text):
    run = make_run(tmp_path / "run", [])
    run.search_json.write_text(text)
    with pytest.raises(UserError, match=r"search\.json is broken") as error:
        load(run)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("floor", [{"split": "test", "images": 360}, {**FLOOR, "fid": -1}, {**FLOOR, "fid": "x"}, 0.29])
def test_a_broken_floor_is_named(tmp_path, floor):
    with pytest.raises(UserError, match=r"search\.json is broken \(floor"):
        load(make_run(tmp_path / "run", [], floor=floor))


def test_a_floor_may_be_missing(tmp_path):
    assert load(make_run(tmp_path / "old", [])).search.floor is None
    assert load(make_run(tmp_path / "none", [], floor=None)).search.floor is None
    assert load(make_run(tmp_path / "known", [], floor=FLOOR)).search.floor == Floor(**FLOOR)


@pytest.mark.parametrize("floor", [Floor(split="test", images=360, fid=0.29), None])
def test_a_plan_and_its_floor_are_read_back(tmp_path, floor):
    protocol = Protocol(
        extractor="digits-classifier",
        weights_sha256="a" * 64,
        data="b" * 64,
        split="train",
        num_real=1024,
        num_fake=1024,
        resolution=32,
        resize="bicubic-antialias",
        dtype="float32",
        seed=0,
        estimator="chunked-1024",
    )
    run = RunDir(tmp_path / "run")
    run.path.mkdir()
    plan = Plan(run, SearchSpace(base=TrialConfig(), params={}, trials=1), Options(trials=1))
    plan.save(protocol, floor)
    assert json.loads(run.search_json.read_text())["floor"] == (asdict(floor) if floor else None)
    found = load(run).search.floor
    assert found == floor
    again, same = load_plan(run)
    assert (again.options, same) == (plan.options, protocol)


def test_an_unknown_domain_is_refused(tmp_path):
    run = make_run(tmp_path / "run", [], params={"a.b": {"domain": {"name": "Normal", "attributes": {}}, "when": None}})
    with pytest.raises(UserError, match=r"params\.a\.b\.domain\.name"):
        load(run)


def test_only_parameters_whose_condition_holds_are_active():
    params = {"loss.clip": 0.1, "loss.name": "wgan-gp", "loss.penalty_weight": 9.0, "other.option": 1}
    active = SPACE.active(params)
    assert list(active.items()) == [("loss.name", "wgan-gp"), ("loss.penalty_weight", 9.0), ("other.option", 1)]


def test_a_condition_on_an_option_that_is_not_searched_looks_at_the_base():
    clip = {"loss.clip": PARAMS["loss.clip"]}
    for name, active in (("wgan", {"loss.clip": 0.1}), ("bce", {})):
        space = Space.model_validate({"base": {"loss": {"name": name}}, "params": clip})
        assert space.active({"loss.clip": 0.1}) == active


def test_a_condition_on_an_inactive_parameter_does_not_hold():
    params = PARAMS | {"x.y": {"domain": PARAMS["optim.g_lr"]["domain"], "when": {"path": "loss.clip", "equals": 0.1}}}
    space = Space.model_validate({"params": params})
    assert "x.y" in space.active({"loss.name": "wgan", "loss.clip": 0.1, "x.y": 1.0})
    assert "x.y" not in space.active({"loss.name": "bce", "loss.clip": 0.1, "x.y": 1.0})


def test_the_newest_whole_checkpoint_is_shown(tmp_path):
    run = make_run(tmp_path / "run", [start("a", 0), evaluation("a", 0, 6.4, 50.0), start("b", 1)])
    for name in ("checkpoint_000006400", "checkpoint_000019200", "checkpoint_000057600.tmp", "checkpoint_x"):
        (run.trial("a") / name).mkdir(parents=True)
    (run.trial("a") / "checkpoint_000025600").touch()
    loaded = load(run)
    assert loaded.checkpoint("a") == str(run.trial("a") / "checkpoint_000019200")
    assert loaded.checkpoint("b") is None


def test_a_longer_name_of_a_checkpoint_is_newer(tmp_path):
    run = make_run(tmp_path / "run", [start("a", 0)])
    for name in ("checkpoint_999999999", "checkpoint_1000000000"):
        (run.trial("a") / name).mkdir(parents=True)
    assert load(run).checkpoint("a") == str(run.trial("a") / "checkpoint_1000000000")


@pytest.mark.parametrize("uri", ["s3://bucket/prefix/run", "s3://bucket/prefix/run/"])
def test_checkpoints_kept_elsewhere_are_shown_as_a_uri(tmp_path, uri):
    rows = ranked_run(make_search(tmp_path / "run", checkpoints=uri))
    for row in rows:
        assert row.checkpoint == (f"s3://bucket/prefix/run/{row.trial_id}" if row.rank else None)
    assert json.loads((tmp_path / "run" / "search.json").read_text())["checkpoints"] == uri
