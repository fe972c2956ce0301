"""`list`: a run is running, finished, interrupted or damaged, and a damaged one does not hide the others."""

import json
from contextlib import closing
from pathlib import Path

import pytest

from gansearch.cli.search import main
from gansearch.run import RunDir
from gansearch.run.rows import End, Writer

from ..analysis.synthetic_run import damage, evaluation, make_run, make_search, start


def end(number: int, best: float | None = None) -> End:
    return End(
        trial_id=f"{number:04d}",
        number=number,
        status="completed",
        best_fid=best,
        best_kimg=None if best is None else 6.4,
        kimg=6.4,
        reason=None,
    )


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    done = make_run(tmp_path / "done", [start(0), evaluation(0, 6.4, 31.5), end(0, 31.5)], trials=1)
    damage(done, created="2020-01-02T03:04:05+00:00")
    make_search(tmp_path / "half", trials=5)
    make_run(tmp_path / "empty", [])
    broken = make_run(tmp_path / "broken", [])
    broken.search_json.write_text("{")
    (tmp_path / "no_run").mkdir()
    return tmp_path


def test_every_run_is_a_line_and_a_damaged_one_says_why(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--runs-dir", str(runs)]) == 0
    out, err = capsys.readouterr()
    lines = {line.split()[0]: line.split() for line in out.splitlines()[:5]}
    assert list(lines)[-2:] == ["done", "broken"], "the newest first, damaged ones last"
    assert lines["done"][1:] == ["finished", "11", "1", "of", "1", "31.50", "2020-01-02T03:04:05"]
    assert lines["half"][1:6] == ["interrupted", "11", "4", "of", "16"]
    assert lines["empty"][1:7] == ["interrupted", "11", "0", "of", "16", "-"]
    assert lines["broken"][1] == "damaged"
    fault = " ".join(out.splitlines()[5:])
    assert fault.startswith("broken: ") and "search.json is broken" in fault
    assert err == ""


def test_a_run_that_is_being_written_is_running(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(Writer(RunDir(runs / "half").results)):
        assert main(["list", "--runs-dir", str(runs), "--json"]) == 0
    found = {run["name"]: run for run in json.loads(capsys.readouterr().out)}
    assert {name: run["state"] for name, run in found.items()} == {
        "half": "running",
        "done": "finished",
        "empty": "interrupted",
        "broken": "damaged",
    }
    assert (found["done"]["best_fid"], found["done"]["ended"], found["done"]["total"]) == (31.5, 1, 1)
    assert found["broken"]["created"] is None and "is broken" in found["broken"]["fault"]


def test_a_run_whose_first_row_is_yet_to_come_is_listed(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    RunDir(runs / "empty").results.unlink()
    assert main(["list", "--runs-dir", str(runs), "--json"]) == 0
    assert {run["name"] for run in json.loads(capsys.readouterr().out)} == {"half", "done", "empty", "broken"}
    assert main(["status", str(runs / "empty"), "--watch"]) == 0


@pytest.mark.parametrize(("trials", "state"), [(1, "finished"), (None, "finished"), (2, "interrupted")])
def test_a_search_is_finished_when_all_its_trials_have_ended(
    trials: int | None, state: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_run(tmp_path / "a", [start(0), evaluation(0, 6.4, 31.5), end(0, 31.5)], trials=trials)
    make_run(tmp_path / "cut", [start(0), evaluation(0, 6.4, 31.5), end(0, 31.5), start(1)], trials=trials)
    assert main(["list", "--runs-dir", str(tmp_path), "--json"]) == 0
    states = {run["name"]: run["state"] for run in json.loads(capsys.readouterr().out)}
    assert states == {"a": state, "cut": "interrupted"}


def test_no_runs_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--runs-dir", str(tmp_path / "none")]) == 0
    assert capsys.readouterr() == ("", f"no runs under {tmp_path / 'none'}/\n")
    assert main(["list", "--runs-dir", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
