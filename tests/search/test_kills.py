"""A search that is killed again and again does what one without a break does, given the same order of events."""

from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from gansearch.config import Component
from gansearch.run.rows import Decision, End, Row
from gansearch.search.history import History
from tests.search.virtual import VirtualSearch, plan_of

TRIALS = 28
WAYS = [("asha", 1), ("asha", 8), ("asha-stopping", 8)]


@pytest.fixture(scope="module", params=WAYS, ids=[f"{name}, {slots} slots" for name, slots in WAYS])
def unbroken(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> VirtualSearch:
    name, slots = request.param
    plan = plan_of(tmp_path_factory.mktemp("unbroken"), trials=TRIALS, scheduler=Component(name=name))
    return VirtualSearch(plan, slots).finish()


def again(unbroken: VirtualSearch, folder: Path) -> VirtualSearch:
    """The same search, not yet begun."""
    plan = plan_of(folder, trials=TRIALS, scheduler=unbroken.plan.options.scheduler)
    return VirtualSearch(plan, len(unbroken.slots))


def mirrored(search: VirtualSearch) -> list[tuple[object, ...]]:
    """The trials of Optuna's journal, without their times."""
    storage = JournalStorage(JournalFileBackend(str(search.plan.run.study_journal)))
    trials = optuna.load_study(study_name=search.plan.run.name, storage=storage).trials
    return [(one.number, one.state, one.values, one.params, one.intermediate_values) for one in trials]


def test_the_search_has_all_that_a_kill_could_spoil(unbroken: VirtualSearch) -> None:
    """Or the tests below would hold for a search in which nothing depends on anything."""
    rows, ledger = unbroken.rows, unbroken.ledger
    decisions = [row for row in rows if isinstance(row, Decision)]
    held = {row.trial_id for row in decisions if row.verdict == "waits"}
    promotes = unbroken.plan.options.scheduler == Component(name="asha")
    assert any(row.trial_id in held and row.verdict == "goes on" for row in decisions) == promotes
    assert {trial.status for trial in ledger.values()} == {"completed", "stopped", "diverged"}
    assert {params["loss.name"] for params in unbroken.proposals} == {"bce", "wgan"}
    history = History.of(ledger, unbroken.plan.rungs)
    assert history.highest_rung(len(unbroken.plan.space.params) + 2) is not None, "TPE has learnt"
    assert len(unbroken.proposals) == TRIALS and unbroken.drivers == 1


@pytest.mark.parametrize("rows", [4, 1])
def test_killed_every_few_rows_it_proposes_and_decides_the_same(
    unbroken: VirtualSearch, rows: int, tmp_path: Path
) -> None:
    killed = again(unbroken, tmp_path).finish(kill_every=rows)
    assert killed.drivers > len(unbroken.rows) // rows
    assert killed.rows == unbroken.rows
    assert mirrored(killed) == mirrored(unbroken)
    for before, after in zip(killed.journals, killed.journals[1:], strict=False):
        assert after.startswith(before), "the journal is only appended to"


def test_cut_by_budgets_and_resumed_it_proposes_and_decides_the_same(unbroken: VirtualSearch, tmp_path: Path) -> None:
    cut = again(unbroken, tmp_path).finish(budget=7)
    assert cut.drivers > 5
    assert [row for row in cut.rows if _counts(row)] == [row for row in unbroken.rows if _counts(row)]
    assert cut.ledger.keys() == unbroken.ledger.keys()
    for trial_id, trial in cut.ledger.items():
        assert trial.status == unbroken.ledger[trial_id].status
    assert mirrored(cut) == mirrored(unbroken)
    for before, after in zip(cut.journals, cut.journals[1:], strict=False):
        assert after.startswith(before), "the journal is only appended to"


def _counts(row: Row) -> bool:
    """Whether a row is none of those by which a trial ends at a budget and is open again."""
    if isinstance(row, End):
        return row.status != "stopped"
    return not isinstance(row, Decision) or row.compared > 0
