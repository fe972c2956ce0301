import io
from dataclasses import replace

import pytest

from gansearch.analysis.status import as_json, describe, render_status
from gansearch.cli.search import main
from gansearch.run import Ledger, load
from gansearch.run.rows import End

from .report_page import with_finals
from .synthetic_run import decision, evaluation, make_search, promoting_rows, start


@pytest.fixture
def ledger(tmp_path):
    return load(make_search(tmp_path / "run")).ledger


def _written(ledger, **options):
    file = io.StringIO()
    render_status(ledger, total=16, max_kimg=57.6, **options).write(file)
    return file.getvalue()


def test_every_trial_is_a_line_with_its_latest_and_its_best_fid(ledger):
    header, *lines = _written(ledger).splitlines()
    assert header.split() == ["#", "trial", "origin", "kimg", "FID", "best", "FID", "status", "why"]
    for state in ledger.values():
        (line,) = [line for line in lines if state.trial_id in line.split() and " of 57.6 " in line]
        if state.best:
            assert f"  {state.evals[-1].fid:.2f}  " in line and f"  {state.best.fid:.2f}  {state.status}" in line
        assert line.rpartition(f"  {state.status}")[2].strip() == ((state.end and state.end.reason) or "")
    assert lines[-2].startswith("15 of 16 trials ended, 1 running; lowest FID ") and ledger.best.trial_id in lines[-2]


def test_the_share_of_evaluations_is_shown(ledger):
    assert ledger.evaluation_share == pytest.approx(0.4 / 2.9)
    assert "FID and artifacts took 13.8% of" in _written(ledger)


def test_where_rows_are_few_the_running_and_the_best_stay(ledger):
    text = _written(ledger, rows=4)
    assert "12 not shown" in text and "running" in text
    assert sum(" of 57.6 " in line for line in text.splitlines()) == 4
    assert text.count(ledger.best.trial_id) == 2


def test_the_last_line_names_the_winner_of_the_finals(tmp_path, capsys):
    assert main(["status", str(with_finals(tmp_path / "run").path)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "winner of the finals: trial 0000, mean FID 31.00"


def test_an_empty_ledger_is_a_header_and_a_summary():
    assert _written(Ledger()).splitlines()[1:] == ["0 of 16 trials ended"]


def test_a_line_describes_a_trial(ledger):
    lines = [describe(state, ledger) for state in ledger.values()]
    assert lines[2] == "trial 2 (0002, sampled): diverged at 3.2 kimg (the generator's loss is not finite)"
    assert "baseline:dcgan): completed at 57.6 kimg, FID " in lines[0]


def test_objects_are_sorted_by_number(ledger):
    objects = as_json(Ledger(dict(reversed(ledger.items()))[key].start for key in reversed(ledger)))
    assert [item["number"] for item in objects] == list(range(16))
    first, diverged = as_json(ledger)[0], as_json(ledger)[2]
    assert first["best_fid"] == min(row.fid for row in ledger[first["trial_id"]].evals) < first["fid"]
    assert (diverged["fid"], diverged["best_kimg"], diverged["kimg"]) == (None, None, 3.2)


def _why(rows):
    ledger = Ledger(rows)
    return [item["reason"] for item in as_json(ledger)]


def test_a_trial_that_waits_or_went_on_says_where_and_by_what_cut():
    assert _why(promoting_rows()) == [
        "went on at 19.2 kimg: FID 50.40, the first trial there",
        "went on at 6.4 kimg: FID 60.00, cut 60.00 among 4 trials",
        "waits at 6.4 kimg: FID 70.00, cut 50.00 among 5 trials",
        "waits at 6.4 kimg: FID 80.00, cut 50.00 among 5 trials",
        "waits at 6.4 kimg: FID 55.00, cut 50.00 among 5 trials",
        None,
    ]


def test_a_trial_that_waits_for_those_behind_it_says_so():
    more = [start(6), evaluation(6, 19.2, 90.0)]
    more += [replace(decision(6, 19.2, "waits", 90.0, 55.0, 6), behind=4)]
    assert _why([*promoting_rows(), *more])[6] == (
        "waits at 19.2 kimg: FID 90.00, cut 55.00 among 6 trials, 4 of which trained less"
    )


def test_a_trial_that_waits_is_compared_with_all_that_came_by_now():
    more = [start(6), evaluation(6, 6.4, 75.0), decision(6, 6.4, "waits", 75.0, 57.0, 6)]
    assert _why([*promoting_rows(), *more])[4] == (
        "waits at 6.4 kimg: FID 55.00, cut 57.00 among 6 trials, so it may go on when a slot is free"
    )


@pytest.mark.parametrize(
    ("verdict", "fields", "reason", "why"),
    [
        ("waits", (70.0, 50.0, 3), None, "was not promoted at 6.4 kimg: FID 70.00, cut 50.00 among 3 trials"),
        ("waits", (40.0, 50.0, 3), None, "was not promoted at 6.4 kimg: FID 40.00, cut 50.00 among 3 trials, but the "),
        ("stops", (70.0, 50.0, 3), None, "stopped at 6.4 kimg: FID 70.00, cut 50.00 among 3 trials"),
        ("stops", (70.0, None, 2), None, "stopped at 6.4 kimg: FID 70.00, no cut among 2 trials yet"),
        ("stops", (), None, "stopped at 6.4 kimg"),
        ("goes on", (40.0, 50.0, 3), "the time budget is spent", "the time budget is spent"),
    ],
)
def test_a_trial_that_was_stopped_says_why(verdict, fields, reason, why):
    best = {"best_fid": 70.0, "best_kimg": 6.4, "kimg": 6.4}
    end = End(trial_id="0000", number=0, status="stopped", reason=reason, **best)
    (found,) = _why([start(0), evaluation(0, 6.4, 70.0), decision(0, 6.4, verdict, *fields), end])
    assert found.startswith(why) and (found == why or found.endswith("the search ended"))


def test_trials_that_run_are_shown_before_those_that_wait():
    ledger = Ledger(promoting_rows())
    lines = _written(ledger, rows=2).splitlines()
    assert [line.split()[1] for line in lines[1:3]] == ["0001", "0005"]
    assert lines[3].startswith("1 of 16 trials ended, 2 running, 3 waiting to be promoted, 4 not shown; lowest FID")


def test_a_line_of_a_log_has_a_decision_until_the_trial_has_trained_further():
    rows = promoting_rows()
    assert describe(Ledger(rows)["0001"], Ledger(rows)).endswith("running at 12.8 kimg, FID 58.00, best 58.00")
    until_promoted = Ledger(rows[: rows.index(decision_of_trial_1(rows)) + 1])
    assert describe(until_promoted["0001"], until_promoted).endswith(
        "(went on at 6.4 kimg: FID 60.00, cut 60.00 among 4 trials)"
    )


def decision_of_trial_1(rows):
    return [row for row in rows if row.event == "decision" and row.number == 1][-1]
