"""The sampler: its numbers are the run's, and the rows alone bring it back."""

import math
import random
import statistics
import time
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import RandomSampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from optuna.trial import TrialState

from gansearch.config import TrainConfig, TrialConfig
from gansearch.run.ledger import Ledger
from gansearch.run.rows import Eval, Start, Status
from gansearch.run.space import Space, When
from gansearch.search.study import Study, distribution, suggest

SPACE = Space(
    base=TrialConfig(train=TrainConfig(max_kimg=0.9, evaluations=3, batch=100)),
    params={
        "optim.g_lr": FloatDistribution(1e-4, 1e-2, log=True),
        "optim.beta1": FloatDistribution(0.0, 0.9),
        "loss.name": CategoricalDistribution(["bce", "wgan", "wgan-gp"]),
        "loss.clip": When("loss.name", "wgan", FloatDistribution(0.005, 0.1, log=True)),
        "loss.penalty_weight": When("loss.name", "wgan-gp", FloatDistribution(1.0, 20.0)),
        "optim.d_lr/optim.g_lr": FloatDistribution(0.25, 4.0, log=True),
        "replay.every": CategoricalDistribution([0, 2]),
        "replay.fraction": When("replay.every", among=[2], domain=FloatDistribution(0.1, 1.0)),
    },
    forbidden=[{"loss.name": "wgan", "replay.every": 2}],
)
BASELINE = {"optim.g_lr": 2e-4, "optim.beta1": 0.5, "loss.name": "bce", "optim.d_lr/optim.g_lr": 2.0, "replay.every": 0}
TRIALS, EVALUATIONS, SEED = 14, 3, 11  # several draws under this seed are forbidden
MEASURES = ("train_seconds", "eval_seconds", "d_loss_real", "d_loss_fake", "g_loss", "images_per_second")
ENDS: dict[int, Status] = {2: "stopped", 4: "diverged", 6: "failed", 9: "stopped"}
Event = tuple[str, int]


def script() -> list[Event]:
    """What happens in a search with two trials at once, in order."""
    events: list[Event] = []
    for first in range(0, TRIALS, 2):
        pair = (first, first + 1)
        events += [("start", number) for number in pair]
        for step in range(EVALUATIONS):
            for number in pair:
                reached = {"stopped": 2, "diverged": 0}.get(ENDS.get(number, "completed"), EVALUATIONS)
                events += [("eval", number)] if step < reached else []
        events += [("end", number) for number in reversed(pair)]
    return events


class Search:
    """A search without training: FID is a formula of the parameters."""

    def __init__(self, journal: Path, ledger: Ledger) -> None:
        self.ledger = ledger
        self.study = Study(journal, "run", SPACE, ledger, SEED)

    def play(self, events: list[Event]) -> "Search":
        for kind, number in events:
            {"start": self._start, "eval": self._evaluate, "end": self._end}[kind](number)
        return self

    def _start(self, number: int) -> None:
        params = self.study.propose(number, BASELINE if number == 0 else None)
        origin = "sampled" if number else "baseline:dcgan"
        self.ledger.add(Start(trial_id=f"{number:04d}", number=number, params=params, origin=origin, seed=SEED))

    def _evaluate(self, number: int) -> None:
        trial = self.ledger[f"{number:04d}"]
        kimg = 0.3 * (len(trial.evals) + 1)
        params = trial.start.params
        fid = 50 * abs(math.log10(params["optim.g_lr"]) + 2.7) + 10 * params["optim.beta1"] + 5 / kimg
        measures: dict[str, Any] = dict.fromkeys(
            ("train_seconds", "eval_seconds", "d_loss_real", "d_loss_fake", "g_loss", "images_per_second"), 0.0
        )
        row = Eval(trial_id=trial.trial_id, number=number, kimg=kimg, fid=fid, protocol="p", **measures)
        self.ledger.add(row)
        self.study.observe(row)

    def _end(self, number: int) -> None:
        row = self.ledger[f"{number:04d}"].ended(ENDS.get(number, "completed"))
        self.ledger.add(row)
        self.study.finish(row, self.ledger.history(row.trial_id))

    @property
    def proposals(self) -> list[dict[str, Any]]:
        return [trial.start.params for trial in self.ledger.values()]


def journal_of(folder: Path, name: str) -> Path:
    (folder / name).mkdir()
    return folder / name / "study.journal"


def stored(journal: Path) -> list[optuna.trial.FrozenTrial]:
    """The journal as another program opens it."""
    storage = JournalStorage(JournalFileBackend(str(journal)))
    return optuna.load_study(study_name="run", storage=storage).trials


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Search:
    return Search(journal_of(tmp_path_factory.mktemp("study"), "whole"), Ledger()).play(script())


def test_proposals_follow_the_conditions(uninterrupted: Search) -> None:
    proposals = uninterrupted.proposals
    assert proposals[0] == BASELINE
    assert len({str(params) for params in proposals}) == TRIALS
    assert len({params["loss.name"] for params in proposals}) == 3
    for params in proposals:
        assert ("loss.clip" in params) == (params["loss.name"] == "wgan")
        assert ("loss.penalty_weight" in params) == (params["loss.name"] == "wgan-gp")
        assert ("replay.fraction" in params) == (params["replay.every"] == 2)
        assert (params["loss.name"], params["replay.every"]) != ("wgan", 2)


@pytest.mark.parametrize("cut", [1, 2, 7, 23, 40, 47, 58, 63, 64])
def test_a_study_rebuilt_from_rows_proposes_the_same(cut: int, uninterrupted: Search, tmp_path: Path) -> None:
    events = script()
    before = Search(journal_of(tmp_path, "before"), Ledger()).play(events[:cut])
    rows = [row for trial in before.ledger.values() for row in (trial.start, *trial.evals, trial.end) if row]
    after = Search(journal_of(tmp_path, "after"), Ledger(rows)).play(events[cut:])
    assert after.proposals == uninterrupted.proposals


def test_what_is_learnt_changes_the_proposals(uninterrupted: Search, tmp_path: Path) -> None:
    """Or the test above would hold for a sampler that looks at nothing."""
    journal = journal_of(tmp_path, "blind")
    blind = Search(journal, Ledger())
    for number in range(TRIALS):
        blind._start(number)
    assert blind.proposals[:6] == uninterrupted.proposals[:6]  # the first ones are random
    assert blind.proposals[10:] != uninterrupted.proposals[10:]


def test_the_journal_tells_the_whole_search(uninterrupted: Search, tmp_path: Path) -> None:
    rebuilt = journal_of(tmp_path, "rebuilt")
    events = script()[:-1]  # the first of the last pair still runs
    Search(rebuilt, Search(journal_of(tmp_path, "first"), Ledger()).play(events).ledger)
    states = {"stopped": TrialState.PRUNED, "diverged": TrialState.PRUNED, "failed": TrialState.FAIL}
    for trial, state in zip(stored(rebuilt), uninterrupted.ledger.values(), strict=True):
        running = trial.number == TRIALS - 2
        expected = states.get(ENDS.get(trial.number, "completed"), TrialState.COMPLETE)
        assert trial.state == (TrialState.RUNNING if running else expected)
        assert trial.params == state.start.params
        assert trial.distributions == {path: distribution(SPACE.params[path].domain) for path in trial.params}
        assert trial.intermediate_values == {row.images: row.fid for row in state.evals}
        if trial.state is TrialState.COMPLETE:
            assert state.best is not None and trial.value == state.best.fid
    assert [trial.number for trial in stored(rebuilt)] == list(range(TRIALS))


def test_a_rebuilt_journal_says_what_the_live_one_said(uninterrupted: Search, tmp_path: Path) -> None:
    rebuilt, live = journal_of(tmp_path, "rebuilt"), journal_of(tmp_path, "live")
    Search(live, Ledger()).play(script())
    Search(rebuilt, uninterrupted.ledger)
    for mine, theirs in zip(stored(rebuilt), stored(live), strict=True):
        same = ("number", "state", "params", "distributions", "intermediate_values")
        assert [getattr(mine, name) for name in same] == [getattr(theirs, name) for name in same]


def test_the_number_of_a_trial_whose_rows_are_lost_is_not_given_again(uninterrupted: Search, tmp_path: Path) -> None:
    rows = [trial.start for trial in uninterrupted.ledger.values()]
    ledger = Ledger([row for row in rows if row.number not in {3, 5}])
    study = Study(journal_of(tmp_path, "run"), "run", SPACE, ledger, SEED)
    study.propose(ledger.next_number)
    found = {trial.number: trial.state for trial in stored(tmp_path / "run/study.journal")}
    assert found.pop(3) == found.pop(5) == TrialState.FAIL
    assert set(found.values()) == {TrialState.RUNNING} and max(found) == TRIALS


@pytest.mark.parametrize("other", ["optim.d_lr", "loss.clip"])
def test_parameters_are_proposed_together(other: str, tmp_path: Path) -> None:
    """The good trials have another rate in proportion to G's, or in their group a clip: so do the proposals."""
    space = Space(
        base=SPACE.base,
        params={
            "optim.g_lr": FloatDistribution(1e-4, 1e-2, log=True),
            "optim.d_lr": FloatDistribution(1e-4, 1e-2, log=True),
            "loss.name": CategoricalDistribution(["bce", "wgan"]),
            "loss.clip": When("loss.name", "wgan", FloatDistribution(1e-4, 1e-2, log=True)),
        },
    )
    rng, measures = random.Random(0), dict.fromkeys(MEASURES, 0.0)
    ledger = Ledger()
    for number in range(90):
        rates = {path: 10 ** rng.uniform(-4, -2) for path in ("optim.g_lr", "optim.d_lr", "loss.clip")}
        own: dict[str, Any] = {"trial_id": f"{number:04d}", "number": number}
        ledger.add(Start(**own, params={"loss.name": "wgan", **rates}, origin="sampled", seed=SEED))
        fid = 1 + abs(math.log10(rates["optim.g_lr"] / rates[other]))
        ledger.add(Eval(**own, kimg=SPACE.base.train.max_kimg, fid=fid, protocol="p", **measures))
        ledger.add(ledger[f"{number:04d}"].ended("completed"))
    ratios = []
    for seed in range(16):
        params = Study(journal_of(tmp_path, str(seed)), "run", space, ledger, seed).propose(90)
        if other in params:
            ratios.append(abs(math.log10(params["optim.g_lr"] / params[other])))
    assert len(ratios) > 8
    assert statistics.median(ratios) < 0.25, "two independent rates are 0.6 decades apart in the median"


def test_the_lock_of_a_killed_driver_does_not_block(tmp_path: Path) -> None:
    journal = journal_of(tmp_path, "run")
    ledger = Search(journal, Ledger()).play(script()[:9]).ledger
    JournalFileSymlinkLock(str(journal)).acquire()  # and never released
    before = time.monotonic()
    Search(journal, ledger)
    assert time.monotonic() - before < 5
    assert len(stored(journal)) == len(ledger)


def test_a_second_driver_is_noticed(tmp_path: Path) -> None:
    study = Study(tmp_path / "study.journal", "run", SPACE, Ledger(), SEED)
    study.propose(0)
    with pytest.raises(RuntimeError, match="the study is at trial 1, the run at 5"):
        study.propose(5)


@pytest.mark.parametrize("how", ["live", "rebuilt"])
def test_finals_and_trials_too_short_by_now_are_not_taken_for_full_ones(how: str, tmp_path: Path) -> None:
    """A final counts for nothing; what was completed before the search was lengthened counts as far as it came."""
    space = Space(base=SPACE.base.lengthened(2 * SPACE.base.train.max_kimg), params=SPACE.params)
    kimg = SPACE.base.train.max_kimg
    measures: dict[str, Any] = dict.fromkeys(
        ("train_seconds", "eval_seconds", "d_loss_real", "d_loss_fake", "g_loss", "images_per_second"), 0.0
    )
    ledger = Ledger()
    journal = journal_of(tmp_path, "study")
    study = Study(journal, "run", space, ledger, SEED)
    for number, relation in enumerate((None, "continuation", "final")):
        study.propose(number, BASELINE, counts=relation != "final")
        own: dict[str, Any] = {"trial_id": f"{number:04d}", "number": number}
        parent = None if relation is None else "0000"
        ledger.add(Start(**own, params=BASELINE, origin="x", seed=SEED, parent=parent, relation=relation))
        reached = kimg * (1 if relation is None else 2)
        row = Eval(**own, kimg=reached, fid=5.0 + number, protocol="p", **measures)
        ledger.add(row)
        study.observe(row)
        ledger.add(end := ledger[f"{number:04d}"].ended("completed"))
        study.finish(end, ledger.history(end.trial_id))
    if how == "rebuilt":
        Study(journal, "run", space, ledger, SEED)
    trials = stored(journal)
    assert [trial.state for trial in trials] == [TrialState.PRUNED, TrialState.COMPLETE, TrialState.FAIL]
    assert [trial.intermediate_values for trial in trials] == [
        {round(reached * 1000): fid} for reached, fid in ((kimg, 5.0), (2 * kimg, 6.0), (2 * kimg, 7.0))
    ]
    assert trials[1].value == 5.0, "the lowest on its whole way"
    assert [trial.user_attrs for trial in trials] == [{}, {}, {"final": True}]


def random_draws(space: Space, count: int = 40) -> list[dict[str, Any]]:
    study = optuna.create_study(sampler=RandomSampler(seed=1))
    return [suggest(study.ask(), space) for _ in range(count)]


def test_conditions_hold_whatever_the_order_of_the_file() -> None:
    params = {name: SPACE.params[name] for name in ("loss.clip", "loss.name", "loss.penalty_weight")}
    drawn = random_draws(SPACE.replaced(params=params))
    assert {params["loss.name"] for params in drawn} == {"bce", "wgan", "wgan-gp"}
    for values in drawn:
        assert ("loss.clip" in values) == (values["loss.name"] == "wgan")
        assert SPACE.active(values).keys() == values.keys()


def test_a_space_read_from_json_draws_the_same() -> None:
    space = SPACE.replaced(
        params={
            "optim.g_lr": FloatDistribution(1e-4, 1e-2, log=True),
            "optim.beta1": FloatDistribution(0.0, 0.9, step=0.3),
            "optim.d_steps": IntDistribution(1, 5, step=2),
            "model.features": IntDistribution(8, 64, log=True),
            "model.spectral_norm": CategoricalDistribution([False, True]),
            "model.attention_at": CategoricalDistribution(["none", 8, 16]),
        }
    )
    drawn = random_draws(space)
    assert random_draws(Space.model_validate_json(space.model_dump_json())) == drawn
    assert {params["optim.d_steps"] for params in drawn} == {1, 3, 5}
    assert {round(params["optim.beta1"], 1) for params in drawn} == {0.0, 0.3, 0.6, 0.9}
    assert {params["model.attention_at"] for params in drawn} == {"none", 8, 16}
    assert sum(params["optim.g_lr"] < 1e-3 for params in drawn) > 10  # about half of them on a logarithmic scale
    assert all(space.params[path].domain.contains(value) for params in drawn for path, value in params.items())
