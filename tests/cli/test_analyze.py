import csv
import json
import subprocess
import sys

import pandas as pd
import pytest

from gansearch.cli.analyze import main
from gansearch.cli.trial import run_trial, trial_config
from gansearch.errors import UserError
from gansearch.run.paths import RunDir
from gansearch.run.rows import End
from gansearch.text import fid_text
from gansearch.training.feasibility import check

from ..analysis.synthetic_run import FLOOR, make_run, make_search, start


@pytest.fixture
def runs(tmp_path):
    make_search(tmp_path / "demo", trials=5)
    diverged = End(trial_id="0000", number=0, status="diverged", best_fid=None, best_kimg=None, kimg=0.1, reason="NaN")
    make_run(tmp_path / "hopeless", [start(0), diverged])
    return tmp_path


FLOOR_LINE = "floor: real test images score 0.2900 (360 images)"


def _call(runs, *words):
    """Exit code of the command, also where argparse ends it."""
    try:
        return main([*words, "--runs-dir", str(runs)])
    except SystemExit as exit:
        return exit.code


def test_a_run_alone_is_ranked_and_plotted(runs, capsys):
    make_search(runs / "measured", trials=3, floor=FLOOR)
    assert _call(runs, "measured") == 0
    out = capsys.readouterr().out
    assert out.startswith("rank  trial")
    assert FLOOR_LINE in out.splitlines()
    assert str(runs / "measured/plots/fid_vs_kimg.png") in out.splitlines()
    assert (runs / "measured/plots/parameters.png").is_file()


def test_a_run_is_found_by_its_path(runs, capsys):
    assert main(["rank", str(runs / "demo")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sorted(line.split()[1] for line in lines[1:6]) == [f"{number:04d}" for number in range(5)]


def test_json_is_all_there_is_on_stdout(runs, capsys):
    assert _call(runs, "rank", "demo", "--json", "--top", "2") == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["rank"] for row in rows] == [1, 2]


def test_the_floor_stands_below_the_table_alone(runs, capsys):
    make_search(runs / "measured", trials=3, floor=FLOOR)
    assert _call(runs, "rank", "measured", "--top", "1") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith("and 2 more of 3 trials: `") and FLOOR_LINE in lines
    assert _call(runs, "rank", "measured", "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert isinstance(rows, list) and rows[0]["best_fid"] <= rows[0]["mean_fid"] <= rows[0]["max_fid"]


def test_parquet_holds_the_same_trials_with_their_types_and_the_evaluations_of_those(runs, capsys):
    trials, evaluations = runs / "trials.parquet", runs / "evaluations.parquet"
    assert _call(runs, "rank", "demo", "--top", "2", "--parquet", str(trials), "--json") == 0
    ranked = json.loads(capsys.readouterr().out)
    frame = pd.read_parquet(trials)
    assert frame["trial_id"].tolist() == [row["trial_id"] for row in ranked]
    assert frame["best_fid"].tolist() == [row["best_fid"] for row in ranked]
    for path in ("optim.g_lr", "model.attention_at"):
        assert frame[path].astype("string").tolist() == [str(row["params"][path]) for row in ranked]
    assert _call(runs, "rank", "demo", "--top", "2", "--evaluations", "--parquet", str(evaluations)) == 0
    rows = pd.read_parquet(evaluations)
    assert set(rows["trial_id"]) == set(frame["trial_id"])
    assert rows.groupby("trial_id")["fid"].min().to_dict() == dict(zip(frame.trial_id, frame.best_fid, strict=True))
    capsys.readouterr()


def test_csv_holds_the_same_trials_as_the_table(runs, capsys):
    file = runs / "rank.csv"
    assert _call(runs, "rank", "demo", "--csv", str(file)) == 0
    table = capsys.readouterr().out.splitlines()[1:]
    with file.open() as lines:
        assert [row["trial_id"] for row in csv.DictReader(lines)] == [line.split()[1] for line in table[:5]]


@pytest.fixture(scope="module")
def trained(tiny, tmp_path_factory):
    """A folder of runs with one whose generator is there."""
    folder = tmp_path_factory.mktemp("runs")
    assert run_trial(check(tiny), RunDir(folder / "tiny"), "recipe:dcgan") == 0
    return folder


def test_an_export_is_measured_in_one_line_a_number(trained, capsys):
    assert _call(trained, "export", "tiny", "--measure", "300") == 0
    captured = capsys.readouterr()
    folder, fid, infinity, floor = captured.out.splitlines()
    assert folder == str(trained / "tiny/best")
    with pytest.raises(UserError, match=r"^\S+/tiny/best/config.json is the config.json of an export: give a trial's"):
        trial_config(f"{folder}/config.json", {}, None)
    scores = json.loads((trained / "tiny/best/scores.json").read_text())
    assert fid == f"FID of 300 images: {fid_text(scores['fid'])}"
    assert infinity.startswith(f"FID at infinity: {fid_text(scores['fid_infinity']['fid'])} +- ")
    assert floor.startswith("floor: real test images score ") and scores["floor"]
    (line,) = captured.err.splitlines()
    assert line == "not measured: KID needs subsets of 1,000 images, there are 300 generated ones"
    assert scores["kid"] is None


@pytest.mark.slow
def test_an_export_of_enough_images_has_a_kid(trained, capsys):
    assert _call(trained, "export", "tiny", "--measure", "1000", "--out", str(trained / "out")) == 0
    scores = json.loads((trained / "out/scores.json").read_text())
    assert f"KID: mean {scores['kid']['mean']:.6f}, standard" in capsys.readouterr().out
    assert scores["kid"]["mean"] > 0 and scores["kid"]["subset_size"] == 1000


def test_an_export_alone_measures_nothing(trained, capsys):
    assert _call(trained, "export", "tiny", "--out", str(trained / "plain")) == 0
    assert capsys.readouterr().out == f"{trained / 'plain'}\n"
    assert not (trained / "plain/scores.json").exists()


@pytest.mark.parametrize("command", [[], ["rank"], ["rank", "--json"], ["plot"]])
def test_a_run_without_a_finite_fid_ends_with_3(runs, capsys, command):
    assert _call(runs, *command[:1], "hopeless", *command[1:]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert "no trial" in line and "finite FID" in line
    assert not (runs / "hopeless/plots").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rank", "dmeo"], "did you mean demo?"),
        (["dmeo"], "did you mean demo?"),
        (["rnak", "demo"], "did you mean rank?"),
        (["plot", "empty"], "is no run"),
        (["rank", "demo", "--top", "0"], "--top: 0 is not"),
        (["rank", "demo", "--top", "x"], "--top: x is not"),
        (["rank", "demo", "--jsn"], "did you mean --json"),
        (["rank"], "RUN"),
        (["rank", "broken"], "search.json is broken"),
        (["rank", "demo", "--csv", "missing/file.csv"], "non-existent directory: 'missing'): choose another --csv"),
        (["rank", "demo", "--parquet", "missing/file.parquet"], "'missing'): choose another --parquet"),
        (["rank", "demo", "--evaluations"], "name the file to write with --csv FILE or --parquet FILE"),
        (["plot", "demo", "--out", "file"], "plot demo` and `gansearch report demo` write elsewhere with --out"),
        (["export", "demo", "--measure", "1"], "--measure: 1 shows no spread: give 2"),
        (["export", "demo", "--measure", "x"], "--measure: x is not"),
    ],
)
def test_wrong_input_gets_one_line_and_2(runs, capsys, monkeypatch, words, message):
    (runs / "empty").mkdir()
    (runs / "broken").mkdir()
    (runs / "broken/search.json").write_text("{")
    (runs / "file").touch()
    before = sorted(runs.rglob("*"))
    monkeypatch.chdir(runs)
    assert _call(runs, *words) == 2
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert message in line and captured.out == ""
    assert sorted(runs.rglob("*")) == before


def test_a_run_alone_whose_folder_takes_no_plots_names_the_commands_that_write_elsewhere(runs, capsys):
    (runs / "demo/plots").touch()
    assert _call(runs, "demo") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"plot {runs}/demo` and `" in line and f"report {runs}/demo` write elsewhere with --out" in line


def test_no_words_at_all_ask_for_a_run(capsys):
    with pytest.raises(SystemExit) as exit:
        main([])
    assert exit.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "name a RUN" in line


def test_help_offers_what_is_there_and_no_more(capsys):
    with pytest.raises(SystemExit) as exit:
        main(["--help"])
    assert exit.value.code == 0
    text = capsys.readouterr().out
    assert all(f"  {command} " in text for command in ("rank", "plot", "report", "finals", "export"))
    assert " all " not in text.replace("all trials", "")


def test_a_ranking_loads_no_library_that_takes_long(runs):
    heavy = {"torch", "ray", "optuna", "matplotlib", "pandas", "numpy", "scipy"}
    assert _without(heavy, "rank", "demo", "--runs-dir", str(runs))


def test_plots_go_where_they_are_wanted_and_load_no_torch(runs):
    out = _without({"torch", "ray"}, "plot", "demo", "--runs-dir", str(runs), "--out", str(runs / "new" / "place"))
    assert set(out.splitlines()) == {str(path) for path in (runs / "new/place").iterdir()}
    assert not (runs / "demo/plots").exists()


def _without(heavy, *words):
    """Runs a command in a process of its own, which must not import some packages; returns what it prints."""
    code = (
        "import sys; from gansearch.cli.analyze import main; code = main(sys.argv[1:]);"
        f"loaded = {heavy!r} & set(sys.modules); sys.exit(str(loaded) if loaded else code)"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout
