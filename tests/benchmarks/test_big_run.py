from collections import Counter

import pytest

from benchmarks.big_run import big_run
from gansearch.analysis.info.common_rung import common_rung
from gansearch.run import load
from gansearch.run.rows import Decision, read
from gansearch.search.decisions import Decisions


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return load(big_run(tmp_path_factory.mktemp("runs") / "big", 60))


def test_it_is_a_whole_search_whose_decisions_are_those_of_its_scheduler(run):
    assert len(run.ledger) == 60 and all(trial.end for trial in run.ledger.values())
    count = Counter(trial.status for trial in run.ledger.values())
    assert count["completed"] >= 2 and count["stopped"] > 30 and count["diverged"] >= 1
    assert [trial.start.origin for trial in run.ledger.values()][:3] == ["baseline:dcgan", "baseline:sngan", "sampled"]
    run.require_its_space()
    ledger = type(run.ledger)()
    decisions = Decisions(run.plan, ledger)
    for row in run.ledger.rows:
        if isinstance(row, Decision):
            trial = ledger[row.trial_id]
            found = decisions.promote() or decisions.release() if trial.is_held else decisions.pending(trial)
            assert found is not None and (found.verdict, found.cut) == (row.verdict, row.cut)
        ledger.add(row)
        decisions.note(row)


def test_the_same_seed_gives_the_same_rows_and_another_seed_others(run, tmp_path):
    again = read(big_run(tmp_path / "again", 60).results)
    assert again == run.ledger.rows
    assert read(big_run(tmp_path / "other", 60, seed=1).results) != again


def test_a_search_that_still_runs_has_open_trials(tmp_path):
    run = load(big_run(tmp_path / "young", 60, most=20))
    assert len(run.ledger) == 20
    assert {"running", "waiting"} <= {trial.status for trial in run.ledger.values()}


def test_with_finals_they_decide(tmp_path):
    run = load(big_run(tmp_path / "finals", 40, finals=True))
    assert run.finals is not None and run.winner is run.ledger[run.finals.winner.trial_id]
    assert sum(trial.is_final for trial in run.ledger.values()) == 3 * len(run.finals.finalists)
    assert sum(trial.noise is not None for trial in run.ledger.values()) == len(run.finals.finalists)
    assert all(not run.ledger[trial.trial_id].is_final for trial in common_rung(run).trials)
