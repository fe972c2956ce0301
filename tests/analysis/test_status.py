import io

import pytest

from gansearch.analysis.status import as_json, describe, render_status
from gansearch.run import Ledger, load

from .synthetic_run import make_search


@pytest.fixture
def ledger(tmp_path):
    return load(make_search(tmp_path / "run")).ledger


def _written(ledger, **options):
    file = io.StringIO()
    render_status(ledger, total=16, max_kimg=57.6, **options).write(file)
    return file.getvalue()


def test_every_trial_is_a_line_with_its_latest_and_its_best_fid(ledger):
    header, *lines = _written(ledger).splitlines()
    assert header.split() == ["#", "trial", "origin", "kimg", "FID", "best", "FID", "status"]
    for state in ledger.values():
        (line,) = [line for line in lines if state.trial_id in line.split() and " of 57.6 " in line]
        if state.best:
            assert line.split()[-3:-1] == [f"{state.evals[-1].fid:.2f}", f"{state.best.fid:.2f}"]
        assert line.split()[-1] == state.status
    assert lines[-2].startswith("15 of 16 trials ended; lowest FID ") and ledger.best.trial_id in lines[-2]


def test_the_share_of_evaluations_is_shown(ledger):
    assert ledger.evaluation_share == pytest.approx(0.4 / 2.9)
    assert "FID and artifacts took 13.8% of" in _written(ledger)


def test_where_rows_are_few_the_running_and_the_best_stay(ledger):
    text = _written(ledger, rows=4)
    assert "12 not shown" in text and "running" in text
    assert sum(" of 57.6 " in line for line in text.splitlines()) == 4
    assert text.count(ledger.best.trial_id) == 2


def test_an_empty_ledger_is_a_header_and_a_summary():
    assert _written(Ledger()).splitlines()[1:] == ["0 of 16 trials ended"]


def test_a_line_describes_a_trial(ledger):
    lines = [describe(state) for state in ledger.values()]
    assert lines[2] == "trial 2 (0002, sampled): diverged at 3.2 kimg (the generator's loss is not finite)"
    assert "baseline:dcgan): completed at 57.6 kimg, FID " in lines[0]


def test_objects_are_sorted_by_number(ledger):
    objects = as_json(Ledger(dict(reversed(ledger.items()))[key].start for key in reversed(ledger)))
    assert [item["number"] for item in objects] == list(range(16))
    first, diverged = as_json(ledger)[0], as_json(ledger)[2]
    assert first["best_fid"] == min(row.fid for row in ledger[first["trial_id"]].evals) < first["fid"]
    assert (diverged["fid"], diverged["best_kimg"], diverged["kimg"]) == (None, None, 3.2)
