"""Optuna's journal: it mirrors the rows, whatever becomes of the drivers that write it and of programs that read it."""

import time
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from optuna.trial import FrozenTrial, TrialState

from gansearch.config import Component
from gansearch.distributions import distribution
from gansearch.run.ledger import Ledger
from gansearch.run.rows import Row, Writer, read
from gansearch.search.study import Study
from tests.search.virtual import INTERVAL, SPACE, Rows, VirtualSearch, plan_of

TRIALS = 28
PARAMS: dict[str, Any] = {"optim.g_lr": 2e-4, "optim.beta1": 0.5, "loss.name": "bce"}
STATES = {"completed": TrialState.COMPLETE, "stopped": TrialState.PRUNED, "diverged": TrialState.PRUNED}


def opened(journal: Path) -> JournalStorage:
    """The journal as another program opens it."""
    return JournalStorage(JournalFileBackend(str(journal)))


def trials_of(storage: JournalStorage, name: str = "run") -> list[FrozenTrial]:
    return optuna.load_study(study_name=name, storage=storage).trials


def stored(journal: Path) -> list[FrozenTrial]:
    return trials_of(opened(journal))


def said(trials: list[FrozenTrial]) -> list[tuple[object, ...]]:
    return [
        (one.number, one.state, one.values, one.params, one.distributions, one.intermediate_values) for one in trials
    ]


class Mirrored:
    """A driver's ledger and its study, in which rows arrive."""

    def __init__(self, journal: Path, rows: list[Row]) -> None:
        self.ledger = Ledger(rows)
        self.study = Study(journal, "run", SPACE, self.ledger)

    def add(self, rows: list[Row]) -> "Mirrored":
        for row in rows:
            if not self.ledger.is_duplicate(row):
                self.ledger.add(row)
                self.study.note(row)
        return self


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> VirtualSearch:
    folder = tmp_path_factory.mktemp("study") / "run"
    folder.mkdir()
    return VirtualSearch(plan_of(folder, trials=TRIALS), slots=2).finish()


def test_the_journal_tells_the_whole_search(search: VirtualSearch) -> None:
    states = set()
    for mine, trial in zip(stored(search.plan.run.study_journal), search.ledger.values(), strict=True):
        assert mine.number == trial.number and mine.state == STATES[trial.status]
        assert mine.params == trial.start.params
        assert mine.distributions == {path: distribution(SPACE.params[path].domain) for path in mine.params}
        assert mine.intermediate_values == {row.images: row.fid for row in trial.evals}
        assert mine.datetime_start is not None and mine.datetime_complete is not None
        if mine.state is TrialState.COMPLETE:
            assert trial.best is not None and mine.value == trial.best.fid
        states.add(trial.status)
    assert states == STATES.keys()


def test_a_journal_that_is_lost_or_damaged_is_written_anew_from_the_rows(
    search: VirtualSearch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows, journal = read(search.plan.run.results), tmp_path / "study.journal"
    expected = said(stored(search.plan.run.study_journal))
    Mirrored(journal, rows).study.close()
    assert said(stored(journal)) == expected
    content = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(content[:4]) + b"{}\n" + b"".join(content[5:]))
    Mirrored(journal, rows).study.close()
    assert said(stored(journal)) == expected
    assert "is damaged" in caplog.text
    journal.write_bytes(journal.read_bytes()[:-20])  # half a line
    Mirrored(journal, rows).study.close()
    assert said(stored(journal)) == expected


@pytest.mark.parametrize("cut", [1, 2, 9, 40, 63, -1])
def test_a_second_driver_appends_what_the_journal_lacks(cut: int, search: VirtualSearch, tmp_path: Path) -> None:
    """A kill comes between a row and its note, or the rows of a whole driver are missing in the journal."""
    rows, journal = read(search.plan.run.results), tmp_path / "study.journal"
    Mirrored(journal, []).add(rows[:cut])
    before = journal.read_bytes()
    Mirrored(journal, rows[: cut + 5 if cut > 0 else None]).add(rows).study.close()
    assert said(stored(journal)) == said(stored(search.plan.run.study_journal))
    assert journal.read_bytes().startswith(before)


def test_a_program_that_has_the_journal_open_reads_on_after_a_resume(search: VirtualSearch, tmp_path: Path) -> None:
    rows, journal = read(search.plan.run.results), tmp_path / "study.journal"
    half = len(rows) // 2
    first = Mirrored(journal, []).add(rows[:half])
    dashboard = opened(journal)
    study_id = dashboard.get_study_id_from_name("run")
    assert len(dashboard.get_all_trials(study_id)) == len(first.ledger)
    second = Mirrored(journal, rows[:half])
    second.add(rows[half : half + 20])
    assert len(second.ledger) > len(first.ledger)
    assert len(dashboard.get_all_trials(study_id)) == len(second.ledger)
    second.add(rows).study.close()
    assert said(dashboard.get_all_trials(study_id)) == said(stored(search.plan.run.study_journal))


def test_trials_that_a_budget_cut_run_on_in_optuna_s_study(tmp_path: Path) -> None:
    """Neither a resumed search nor its end writes the study anew, so the page of a dashboard stays what it was."""
    plan = plan_of(tmp_path, trials=20)
    search = VirtualSearch(plan, slots=2)
    with closing(Writer(plan.run.results)) as writer:
        search._drive(writer, budget=15)
    cut = [trial for trial in search.ledger.values() if trial.end is None]
    assert any(trial.is_held for trial in cut) and any(not trial.is_held for trial in cut)
    dashboard = opened(plan.run.study_journal)
    study_id = dashboard.get_study_id_from_name(tmp_path.name)
    states = [one.state for one in dashboard.get_all_trials(study_id)]
    assert [states[trial.number] for trial in cut] == [TrialState.RUNNING] * len(cut)
    search.finish()
    seen = dashboard.get_all_trials(study_id)
    assert [one.state for one in seen] == [STATES[trial.status] for trial in search.ledger.values()]
    for mine, trial in zip(seen, search.ledger.values(), strict=True):
        assert mine.intermediate_values == {row.images: row.fid for row in trial.evals}


def test_trials_that_wait_are_pruned_at_the_end_and_known_by_their_ids_afterwards(tmp_path: Path) -> None:
    """Then one of them goes on in a resumed search: the study is written anew once, and a dashboard sees that."""
    # Later trials of random search are no better, so one that waited goes on.
    options: dict[str, Any] = {"seed": 3, "sampler": Component(name="random")}
    plan = plan_of(tmp_path, trials=9, **options)
    first = VirtualSearch(plan, slots=2).finish()
    journal, waited = plan.run.study_journal, [one for one in first.ledger.values() if one.is_held]
    assert len(waited) >= 3
    for trial in waited:
        frozen = stored_named(journal, tmp_path.name)[trial.number]
        assert frozen.state is TrialState.PRUNED
        assert frozen.intermediate_values == {row.images: row.fid for row in trial.evals}
    dashboard, content = opened(journal), journal.read_bytes()
    trials_of(dashboard, tmp_path.name)
    second = VirtualSearch(plan_of(tmp_path, trials=30, **options), slots=2).finish()
    assert any(second.ledger[trial.trial_id].images > trial.images for trial in waited), "one was promoted"
    seen = trials_of(dashboard, tmp_path.name)
    assert said(seen) == said(stored_named(journal, tmp_path.name))
    assert [(one.number, one.params) for one in seen] == [
        (trial.number, trial.start.params) for trial in second.ledger.values()
    ]
    for mine, trial in zip(seen, second.ledger.values(), strict=True):
        assert mine.intermediate_values == {row.images: row.fid for row in trial.evals}
        assert mine.state == STATES[trial.status]
    assert journal.read_bytes().startswith(content)
    made = [line for line in journal.read_bytes().splitlines() if b'"study_name"' in line]
    assert len(made) == 2, "that of the first driver, and one more"


def stored_named(journal: Path, name: str) -> list[FrozenTrial]:
    return trials_of(opened(journal), name)


def test_the_number_of_a_trial_whose_rows_are_lost_is_not_given_again(tmp_path: Path) -> None:
    rows = Rows()
    for number in (0, 1, 2, 4, 6):
        rows.start(number, PARAMS)
    journal = tmp_path / "study.journal"
    mirrored = Mirrored(journal, rows)
    number = mirrored.ledger.next_number
    rows.start(number, PARAMS)
    rows.evals(number, 5.0)
    mirrored.add(rows)
    found = {trial.number: trial.state for trial in stored(journal)}
    assert found.pop(3) == found.pop(5) == TrialState.FAIL
    assert set(found.values()) == {TrialState.RUNNING} and max(found) == number
    assert stored(journal)[number].intermediate_values == {INTERVAL: 5.0}


def test_the_lock_of_a_killed_driver_does_not_block(tmp_path: Path) -> None:
    rows, journal = Rows(), tmp_path / "study.journal"
    rows.start(0, PARAMS)
    Mirrored(journal, rows)
    JournalFileSymlinkLock(str(journal)).acquire()  # and never released
    before = time.monotonic()
    Mirrored(journal, rows)
    assert time.monotonic() - before < 15, "Optuna waits for half a minute"
    assert len(stored(journal)) == 1


@pytest.mark.parametrize("how", ["live", "rebuilt"])
def test_a_final_counts_for_nothing_and_a_continuation_for_its_whole_way(how: str, tmp_path: Path) -> None:
    rows, journal = Rows(), tmp_path / "study.journal"
    rows.start(0, PARAMS)
    rows.evals(0, 5.0)
    rows.end(0, "completed")
    rows.start(1, PARAMS, parent="0000", relation="continuation")
    rows.evals(1, 6.0, first=2)
    rows.end(1, "completed")
    rows.start(2, PARAMS, parent="0000", relation="final", origin="final")
    rows.evals(2, 7.0)
    rows.end(2, "completed")
    rows.start(3, PARAMS)
    rows.end(3, "failed", "CUDA out of memory")
    if how == "live":
        Mirrored(journal, []).add(rows)
    else:
        Mirrored(journal, rows)
    trials = stored(journal)
    assert [trial.state.name for trial in trials] == ["COMPLETE", "COMPLETE", "FAIL", "FAIL"]
    assert [trial.value for trial in trials[:2]] == [5.0, 5.0]
    assert [trial.intermediate_values for trial in trials[:2]] == [{INTERVAL: 5.0}, {2 * INTERVAL: 6.0}]
    assert [trial.user_attrs for trial in trials] == [{}, {}, {"final": True}, {}]
