"""Runs by path and by name."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gansearch.errors import UserError
from gansearch.run.paths import RunDir, dated, find_run, new_run


def written(path: Path) -> Path:
    path.mkdir(parents=True)
    RunDir(path).search_json.write_text("{}")
    return path


def test_the_names_of_a_run_s_files(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "first")
    paths = [run.search_json, run.results, run.study_journal, run.trial_config("0003"), run.best, run.plots, run.real]
    names = ["search.json", "results.jsonl", "study.journal", "trials/0003/config.json", "best", "plots", "real.png"]
    assert [str(path.relative_to(run.path)) for path in paths] == names
    assert run.name == "first" and not run.path.exists()


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "-x", "a b", "ü", "a\n"])
def test_a_name_that_is_no_plain_file_name_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="use letters, digits"):
        new_run(name, tmp_path)


@pytest.mark.parametrize(
    ("source", "label"),
    [
        ("digits", "digits"),
        ("spaces/mine.py", "mine"),
        ("trials/0003/config.json", "config"),
        ("my space:1.py", "my-space-1"),
        ("my_spaces:SPACE", "my_spaces"),
        ("package.spaces:SPACE", "spaces"),
        ("my_spaces:WIDE", "WIDE"),
        ("_private:SPACE", "private"),
        ("ü.py", "search"),
        (":", "search"),
    ],
)
def test_a_dated_name_is_that_of_its_source(source: str, label: str) -> None:
    assert dated(source).rsplit("-", 2)[0] == label


@given(st.text())
def test_a_dated_name_can_be_that_of_a_run(source: str) -> None:
    assert new_run(dated(source), Path("nowhere")).path.parent == Path("nowhere")


STAGED = [".real.png.0123456789ab", ".search.json.0123456789ab"]
LEFT = ["results.jsonl", "real.png", ".probe.1b2c3d4e", "trials/probe/probe", *STAGED]


@given(st.sets(st.sampled_from(LEFT)), st.sampled_from([None, "search.json", "mine.txt", "trials/0000/config.json"]))
def test_what_a_killed_start_has_left_is_taken_over_and_nothing_else(left: set[str], other: str | None) -> None:
    with TemporaryDirectory() as folder:
        for name in left | ({other} if other else set()):
            path = Path(folder, "run", name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        if other is None:
            assert new_run("run", Path(folder)).name == "run"
        else:
            with pytest.raises(UserError, match="exists already"):
                new_run("run", Path(folder))
        if other == "search.json":
            assert new_run("run", Path(folder), or_started=True).name == "run"


def test_rows_whose_search_json_is_lost_are_no_remains_of_a_start(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/results.jsonl").write_text("{}")
    with pytest.raises(UserError, match="exists already"):
        new_run("run", tmp_path)


def test_a_name_is_used_once(tmp_path: Path) -> None:
    assert new_run("a-1.b_2", tmp_path) == RunDir(tmp_path / "a-1.b_2")
    assert list(tmp_path.iterdir()) == []
    written(tmp_path / "taken")
    with pytest.raises(UserError, match=r"taken exists already: choose another --name, or .*resume"):
        new_run("taken", tmp_path)


def test_a_run_is_found_by_path_and_by_name(tmp_path: Path) -> None:
    path = written(tmp_path / "runs" / "digits-1")
    assert find_run(str(path)).path == path
    assert find_run("digits-1", tmp_path / "runs").path == path
    with pytest.raises(UserError, match="'digits-2'; did you mean digits-1"):
        find_run("digits-2", tmp_path / "runs")
    with pytest.raises(UserError, match="known: none"):
        find_run("digits-1", tmp_path / "elsewhere")
    (tmp_path / "other").mkdir()
    with pytest.raises(UserError, match=r"other is no run: it has no search\.json"):
        find_run(str(tmp_path / "other"))
