"""The replay: functions with their optimum, the virtual cluster, and methods that decide as on real trials."""

import csv
import math
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray.tune import Callback
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher
from scipy.optimize import minimize

from benchmarks.search_replay import from_run
from benchmarks.search_replay.compare import log_ratios, log_time_ratios, ratio, time_to
from benchmarks.search_replay.curves import read_curves, replay_order
from benchmarks.search_replay.functions import FUNCTIONS, LEVEL, MFHartmann
from benchmarks.search_replay.methods import missing, opener, replay
from benchmarks.search_replay.problem import unit
from benchmarks.search_replay.rungs import first_seeds, kept, noises
from benchmarks.search_replay.rungs import main as compare_rungs
from benchmarks.search_replay.simulate import RULES, Cluster, Report, Task, Trace, simulate
from benchmarks.search_replay.table import Measured, Table, read_table
from benchmarks.search_replay.tune import Tune
from gansearch.config import TrialConfig
from gansearch.errors import UserError
from gansearch.run.domain import Domain
from gansearch.run.rows import End, Row
from gansearch.search.drawing import draw_at_random
from gansearch.search.find_space import find_space
from tests.analysis.synthetic_run import KIMG, SPACE, evaluation, make_run, start

SMALL = Cluster(workers=4, trainings=1.5)


def at(domain: Domain, where: float) -> float:
    """The value that lies there in its range: the inverse of `unit`."""
    low, high = domain.range.low, domain.range.high
    return low * (high / low) ** where if domain.range.log else low + where * (high - low)


def params_at(function: MFHartmann, x: Iterable[float], loss: str | None = None) -> dict[str, Any]:
    space = function.space
    numbers = [path for path, one in space.params.items() if not one.domain.is_categorical]
    values = {path: at(space.params[path].domain, value) for path, value in zip(numbers, x, strict=True)}
    return space.active(values | ({} if loss is None else {"loss.name": loss}))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_configuration_is_better_than_the_known_optimum(name: str) -> None:
    function = FUNCTIONS[name]
    loss = "wgan" if "loss.name" in function.space.params else None
    train, best = function.objective(0), function.hartmann.best
    assert train(params_at(function, best, loss)).value == pytest.approx(function.optimum, abs=1e-9)

    def value(x: np.ndarray) -> float:
        return train(params_at(function, np.clip(x, 0, 1), loss)).value

    for guess in [np.array(best), *np.random.default_rng(0).random((2, len(best)))]:
        found = minimize(value, guess, method="Nelder-Mead", options={"maxfev": 600})
        assert found.fun >= function.optimum - 1e-9


@pytest.mark.parametrize("name", FUNCTIONS)
def test_noise_belongs_to_seed_and_configuration_and_is_gone_at_full_length(name: str) -> None:
    function = FUNCTIONS[name]
    for number in range(20):
        params = draw_at_random(function.space, number)
        first, again, other = (function.objective(seed)(params) for seed in (0, 0, 1))
        assert np.array_equal(first.fids, again.fids) and first.value == again.value == other.value
        assert first.fids[0] != other.fids[0]
        assert (first.fids > 0).all() and function.optimum <= first.value <= LEVEL
        if len(first.fids) == function.evaluations:
            assert first.fids[-1] == first.value


def test_trials_diverge_late_in_a_fifth_of_the_space_that_looks_good_and_lacks_the_optimum() -> None:
    function = FUNCTIONS["h6-diverges"]
    train = function.objective(0)
    curves = [train(draw_at_random(function.space, seed)) for seed in range(300)]
    short = [curve for curve in curves if len(curve.fids) < function.evaluations]
    assert 0.14 < len(short) / len(curves) < 0.26
    assert {len(curve.fids) for curve in short} == {6, 7, 8}
    tempting = train(params_at(function, (0.405, 0.882, 0.846, 0.574, 0.139, 0.038)))
    assert len(tempting.fids) < function.evaluations and tempting.value == LEVEL
    assert tempting.fids[-1] < min(curve.fids[5:].min() for curve in curves) + 1


def test_a_conditional_parameter_counts_for_its_category_only() -> None:
    function = FUNCTIONS["h6-mixed"]
    train = function.objective(0)
    x = list(function.hartmann.best)
    values = {
        (loss, clip): train(params_at(function, [*x[:5], clip], loss)).value
        for loss in ("bce", "wgan")
        for clip in (0.2, x[5])
    }
    assert values["bce", 0.2] == values["bce", x[5]] > values["wgan", x[5]] == pytest.approx(function.optimum)
    assert values["wgan", 0.2] > values["wgan", x[5]]


@given(low=st.floats(1e-5, 1.0), factor=st.floats(1.1, 1e3), where=st.floats(0, 1), log=st.booleans())
def test_the_unit_cube_holds_the_whole_range(low: float, factor: float, where: float, log: bool) -> None:
    domain = Domain(name="FloatDistribution", attributes={"low": low, "high": low * factor, "log": log})
    assert unit(domain, at(domain, where)) == pytest.approx(where, abs=1e-6)


@pytest.mark.parametrize("method", ["ours", "ours,scheduler=none", "ray-random", "ray-optuna"])
def test_the_same_seed_gives_the_same_search_and_another_seed_another(method: str) -> None:
    traces = [replay(method, FUNCTIONS["h6-mixed"], seed, SMALL) for seed in (0, 0, 1)]
    assert traces[0] == traces[1] != traces[2]


@pytest.mark.parametrize("method", ["ours,sampler=random", "ray-random"])
def test_regret_falls_and_all_workers_are_busy_to_the_end(method: str) -> None:
    trace = replay(method, FUNCTIONS["h3-good"], 0, SMALL)
    assert trace.times == sorted(trace.times) and trace.times[-1] <= SMALL.trainings
    assert trace.regrets["completed"] == sorted(trace.regrets["completed"], reverse=True)
    assert min(min(trace.regrets[rule]) for rule in RULES) >= 0
    assert trace.busy == pytest.approx(1)
    assert trace.trials > SMALL.workers * SMALL.trainings  # ASHA stops most of them
    assert trace.trainings <= SMALL.workers * SMALL.trainings * 1.3


def test_without_a_scheduler_all_trials_come_to_full_length() -> None:
    trace = replay("ours,scheduler=none", FUNCTIONS["h3-good"], 0, Cluster(workers=3, trainings=1.01, spread=0.0))
    assert (trace.trials, trace.trainings) == (6, pytest.approx(3))
    assert trace.regret(0.99) == FUNCTIONS["h3-good"].typical - FUNCTIONS["h3-good"].optimum > trace.regret(1.01)


class Pausing:
    """A method that pauses its trial after each evaluation, so that two trials take turns on one worker."""

    def __init__(self, lies: int = 0) -> None:
        self.done, self.turn, self.lies = [0, 0], 0, lies

    def ask(self) -> Task | None:
        self.turn = 1 - self.turn
        params = {"optim.g_lr": 1e-4, "optim.d_lr": 1e-4, "optim.beta1": 0.1 + 0.1 * self.turn}
        return Task(str(self.turn), params, self.done[self.turn] + self.lies) if min(self.done) < 9 else None

    def report(self, task: Task, report: Report) -> bool:
        self.done[int(task.trial)] = report.evaluation
        return False


def test_a_trial_goes_on_from_where_it_was_stopped_and_nowhere_else() -> None:
    trace = simulate(Pausing(), FUNCTIONS["h3-good"], 0, Cluster(workers=1, trainings=3.0))
    assert (trace.trials, trace.trainings) == (2, pytest.approx(2))
    with pytest.raises(RuntimeError, match="to start at 1 evaluations, it has 0"):
        simulate(Pausing(lies=1), FUNCTIONS["h3-good"], 0, Cluster(workers=1))


class StopsAt(FIFOScheduler):
    def __init__(self, calls: list[str], stop_at: int) -> None:
        super().__init__()
        self.calls, self.stop_at = calls, stop_at

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        self.calls.append("scheduler add")

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        self.calls.append("scheduler result")
        return TrialScheduler.STOP if result["training_iteration"] == self.stop_at else TrialScheduler.CONTINUE

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        self.calls.append("scheduler complete")


def test_parts_of_tune_are_called_in_the_order_of_its_controller() -> None:
    calls: list[str] = []

    class Source(Searcher):
        def suggest(self, trial_id: str) -> Any:
            calls.append("suggest")
            return {"x": 1}

        def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
            calls.append("searcher result")

        def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
            calls.append(f"searcher complete {result['training_iteration']}")

    class Events(Callback):
        def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: Any, **_: Any) -> None:
            calls.append("callback result")

        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
            calls.append(f"callback complete {trial.last_result['training_iteration']}")

    tune = Tune(
        Source(metric="fid", mode="min"),
        StopsAt(calls, stop_at=2),
        lambda trial_id, config: Task(trial_id, config),
        1600,
        1,
        [Events()],
    )
    task = tune.ask()
    assert task is not None and tune.ask() is None  # one worker has one trial
    assert tune.report(task, Report(1, 9.0, False, 0.1)) and not tune.report(task, Report(2, 9.0, False, 0.1))
    ended = ["scheduler complete", "searcher complete 2", "callback complete 2"]
    first = ["suggest", "scheduler add", "scheduler result", "searcher result", "callback result"]
    assert calls == [*first, "scheduler result", "callback result", *ended]
    task, calls[:] = tune.ask(), []
    assert task is not None
    assert tune.report(task, Report(1, 9.0, False, 0.1))
    calls.clear()
    assert not tune.report(task, Report(2, None, True, 0.1))  # the scheduler does not see a last result
    assert calls == ["callback result", *ended]


def test_ratios_are_paired_by_seed() -> None:
    def trace(regret: float, time: float = 1.0) -> Trace:
        return Trace(times=[0.0, time], regrets={rule: [1.0, regret] for rule in RULES})

    ours, theirs = [trace(0.1), trace(0.02, 2.0)], [trace(0.2), trace(0.04)]
    assert log_ratios(ours, theirs, 5.0, "completed") == pytest.approx([math.log(0.5)] * 2)
    assert log_ratios(ours, theirs, 1.5, "completed") == pytest.approx([math.log(0.5), math.log(1 / 0.04)])
    assert (time_to(ours[1], 0.02, 5.0), time_to(ours[0], 0.02, 5.0)) == (2.0, 5.0)
    assert log_time_ratios(ours, theirs, 0.5, 5.0) == pytest.approx([0.0, math.log(2)])
    estimate = ratio(np.log([0.25, 0.5, 1.0]))
    assert estimate.value == pytest.approx(0.5) and estimate.low < 0.25 and estimate.high > 1.0


def table_file(path: Path, *, number: int = 40, evaluations: int = 6) -> Path:
    """A table of the space digits. The more D learns, the better; the first has two seeds, the second diverges."""
    space = find_space("digits").replaced(baselines=())
    kimgs = [1.6 * one for one in range(1, evaluations + 1)]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["config", "seed", *space.params, *(f"{kimg:g}" for kimg in kimgs)])
        writer.writeheader()
        for config in range(number):
            params = draw_at_random(space, config)
            level = 50 * unit(space.params["optim.d_lr"].domain, params["optim.d_lr"])
            shown = {name: str(value).lower() if isinstance(value, bool) else value for name, value in params.items()}
            for seed in (0, 1) if config == 0 else (0,):
                reached = kimgs[:3] if config == 1 else kimgs
                fids = {f"{kimg:g}": level + 32 / kimg + seed for kimg in reached}
                writer.writerow({"config": config, "seed": seed, **shown, **fids})
    return path


def test_a_proposal_of_a_table_gets_the_nearest_training_that_is_left(tmp_path: Path) -> None:
    table = read_table(table_file(tmp_path / "table.csv"), find_space("digits"))
    assert table.space.base.train.evaluations == 6 and len(table.rows) == 40
    assert [len(row.curves) for row in table.rows[:2]] == [2, 1]
    train = table.objective(0)
    for index in (5, 0, 1):
        first = train(table.rows[index].params)
        assert any(np.array_equal(first.fids, curve) for curve in table.rows[index].curves)
        assert first.value == table.values[index]
    assert len(first.fids) == 3 and first.value == table.values.max()  # it diverged
    again = train(table.rows[5].params)
    assert again.value != table.values[5]
    with pytest.raises(UserError, match="used up"):
        for _ in range(len(table.rows)):
            train(table.rows[0].params)


@pytest.mark.parametrize("method", ["ours", "ray-optuna"])
def test_methods_search_a_table(tmp_path: Path, method: str) -> None:
    table = read_table(table_file(tmp_path / "table.csv"), find_space("digits"))
    trace = replay(method, table, 0, Cluster(workers=2, trainings=3.0))
    assert trace.busy == pytest.approx(1) and trace.regret(3.0) < table.typical - table.optimum
    assert 0 < table.top(0.2) < table.top(1.0) and table.top(0.01) == 0
    with pytest.raises(UserError, match="lower --top"):
        table.top(2.0)


def test_a_parameter_that_applies_to_one_of_two_makes_no_difference() -> None:
    space = FUNCTIONS["h6-mixed"].space
    base = {path: at(one.domain, 0.5) for path, one in space.params.items() if not one.domain.is_categorical}
    rows = [{**base, "loss.name": "bce", "optim.g_lr": 1e-3}, {**base, "loss.name": "wgan"}]
    table = Table(space, [Measured(space.active(row), [np.ones(9)]) for row in rows])
    assert table._distances({**base, "loss.name": "hinge"}) == pytest.approx([1.25, 1.0])


def test_the_table_of_runs_holds_their_trials_that_came_to_an_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    params = [draw_at_random(SPACE, number) for number in range(3)]
    runs = []
    for name in ("a", "b"):
        rows: list[Row] = []
        for number, of, reached, status in [
            (0, 0, 9, "completed"),
            (1, 0, 9, "completed"),  # another seed
            (2, 1, 2, "diverged"),
            (3, 2, 5, "stopped"),
            (4, 2, 0, "diverged"),
        ]:
            begin = start(number, params[of])
            evals = [evaluation(number, kimg, 100.0 + number - kimg) for kimg in KIMG[:reached]]
            ended: dict[str, Any] = {"status": status, "best_fid": None, "best_kimg": None, "reason": None}
            kimg = evals[-1].kimg if evals else 1.0
            rows += [begin, *evals, End(trial_id=begin.trial_id, number=number, kimg=kimg, **ended)]
        runs.append(str(make_run(tmp_path / name, rows).path))
    monkeypatch.setattr(sys, "argv", ["from_run", *runs])
    assert from_run.main() == 0
    (tmp_path / "table.csv").write_text(capsys.readouterr().out)
    table = read_table(tmp_path / "table.csv", SPACE)
    assert [[len(curve) for curve in row.curves] for row in table.rows] == [[9, 9], [2], [0]] * 2
    assert table.rows[0].curves[1] == pytest.approx([101 - kimg for kimg in KIMG], rel=1e-4)
    assert table._distances(params[1])[1] == pytest.approx(0, abs=1e-8)
    assert table.space.base.train.max_images == 57_600
    monkeypatch.setattr(sys, "argv", ["from_run", str(tmp_path)])
    assert from_run.main() == 2 and "is no run" in capsys.readouterr().err


def test_what_a_table_says_of_its_rungs() -> None:
    curves = [[9.0, 8.0, 1.0], [2.0, 2.0, 2.0], [3.0, 3.0, 3.0], [4.0, 4.0], [5.0, 5.0, 5.0], [6.0, 6.0, 6.0]]
    space = FUNCTIONS["h3-good"].space.replaced(
        base=TrialConfig().override({"train.evaluations": 3, "train.max_kimg": 4.8})
    )
    table = Table(space, [Measured({}, [np.array(curve)]) for curve in curves])
    fids = first_seeds(table)
    assert fids[3, 2] == math.inf and fids[5, 0] == 6.0
    assert [kept(fids, index) for index in range(3)] == [0.0, 0.0, 1.0]  # the best one at the end came from behind
    assert all(math.isnan(noise) for noise, _ in noises(table))
    again = [Measured({}, [np.exp([level, 0.0, 1.0]), np.exp([level + 2.0, 0.0, 1.0])]) for level in (1.0, 4.0)]
    assert list(noises(Table(space, again)))[:2] == [
        (pytest.approx(math.sqrt(2)), pytest.approx(math.sqrt(4.5))),
        (pytest.approx(0), pytest.approx(0)),
    ]
    short = table.cut(2)
    assert short.space.base.train.max_kimg == 3.2 and short.optimum == 2.0
    assert short.values.tolist() == [8.0, 2.0, 3.0, 4.0, 5.0, 6.0]


def test_lengths_and_rungs_are_compared_in_searches_of_the_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = table_file(tmp_path / "table.csv")
    options = "--kimg 20 --lengths 4.8 9.6 --first-rungs 1 2 --seeds 2 --processes 1"
    monkeypatch.setattr(sys, "argv", ["rungs", str(path), *options.split()])
    monkeypatch.setattr("benchmarks.search_replay.rungs.quiet", lambda: None)  # it would silence all other tests
    assert compare_rungs() == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:7]] == ["1.6", "3.2", "4.8", "6.4", "8", "9.6"]
    assert [line.split()[:2] for line in lines[-3:]] == [["4.8", "1.6"], ["9.6", "1.6"], ["9.6", "3.2"]]


def curves_file(path: Path) -> Path:
    """Ten curves that never cross."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["method", "run", "step", "fid"])
        writer.writerows(
            [f"m{one % 3}", one, step, 10 + one + 100 / step] for one in range(10) for step in range(2, 21, 2)
        )
    return path


def test_curves_are_all_tried_and_the_best_one_is_found_for_less_than_the_full_budget(tmp_path: Path) -> None:
    curves = read_curves(curves_file(tmp_path / "curves.csv"), steps=18, evaluations=9)
    assert curves.fids.shape == (10, 9) and curves.optimum == pytest.approx(10 + 100 / 18)
    orders = [replay_order("ours", curves, seed, workers=2) for seed in range(2)]
    assert all(order.found and 0.2 < order.share < 0.9 for order in orders)
    assert orders[0] == replay_order("ours", curves, 0, workers=2)
    assert replay_order("ours,scheduler=none", curves, 0, workers=2).share == pytest.approx(1)


def test_a_wrong_table_or_method_is_refused_in_one_line(tmp_path: Path) -> None:
    path = curves_file(tmp_path / "curves.csv")
    with pytest.raises(UserError, match="no FID at step 1;"):
        read_curves(path, steps=18, evaluations=18)
    with pytest.raises(UserError, match="can't be read"):
        read_curves(tmp_path / "none.csv", steps=18, evaluations=9)
    with pytest.raises(UserError, match="no column config"):
        read_table(path, find_space("digits"))
    with pytest.raises(UserError, match="method"):
        opener("our")
    with pytest.raises(UserError, match="no choices"):
        opener("ray-random,sampler=tpe")
    assert missing("ray-random", FUNCTIONS["h3-good"]) is None
