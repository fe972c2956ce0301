"""The numbers behind the plots."""

import math
import random
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.big_run import MATTER, big_run
from gansearch.analysis.info.attention import attention_info
from gansearch.analysis.info.common_rung import common_rung
from gansearch.analysis.info.comparison import comparison_info
from gansearch.analysis.info.curves import Curve, bands, curves_info
from gansearch.analysis.info.importance import importance_info
from gansearch.analysis.info.losses import losses_info
from gansearch.analysis.info.pair import pair_info, strongest_pair
from gansearch.analysis.info.parameters import Point, param_info, trend
from gansearch.analysis.info.progress import progress_info
from gansearch.analysis.info.replay import replay_info
from gansearch.analysis.info.statistics import box, median_interval, quantile
from gansearch.analysis.info.survival import survival_info
from gansearch.analysis.info.trials import leaders, searched, state_text
from gansearch.analysis.plots.losses import Losses
from gansearch.errors import UserError
from gansearch.run import load
from gansearch.run.paths import attention_file, samples_file
from gansearch.run.rows import End, Writer

from .synthetic_run import SPACE, decision, evaluation, make_run, promoting_rows, start


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    return load(big_run(tmp_path_factory.mktemp("runs") / "big", 300))


@pytest.fixture(scope="module")
def rung(big):
    return common_rung(big)


@pytest.fixture(scope="module")
def importance(big, rung):
    return importance_info(rung, big.manifest.space)


def _diverged(number, kimg):
    fields = {"trial_id": f"{number:04d}", "number": number, "best_fid": None, "best_kimg": None}
    return End(**fields, status="diverged", kimg=kimg, reason="not finite")


def _run(path, trials, **options):
    """Trials with FIDs at 6.4 kimg, 12.8 kimg and so on: (params, FIDs)."""
    rows = []
    for number, (params, fids) in enumerate(trials):
        rows.append(start(number, params))
        rows += [evaluation(number, round(6.4 * at, 1), fid) for at, fid in enumerate(fids, 1)]
    return load(make_run(path, rows, **options))


def test_the_common_rung_is_the_highest_that_half_of_the_trials_reached(tmp_path):
    def rung_of(name, *lengths):
        return common_rung(_run(tmp_path / name, [({}, [50.0] * length) for length in lengths]))

    assert rung_of("half", *[3] * 8, *[1] * 8).kimg == 19.2
    assert rung_of("fewer", *[3] * 7, *[1] * 9).kimg == 6.4
    assert rung_of("few", *[3] * 7, 1).kimg == 6.4  # 7 trials are too few
    assert rung_of("all", 9, 9).kimg == 57.6
    assert rung_of("between", *[2] * 9).kimg == 6.4
    assert common_rung(_run(tmp_path / "none", [({}, [])])).trials == []


def test_without_a_scheduler_it_is_the_full_length_or_the_greatest_that_half_came_to(tmp_path):
    full = _run(tmp_path / "full", [({}, [50.0] * 9)] * 9, scheduler=None)
    assert common_rung(full).kimg == 57.6
    young = _run(tmp_path / "young", [({}, [50.0] * length) for length in (4, 4, 3)], scheduler=None)
    assert common_rung(young).kimg == 19.2


def test_at_the_common_rung_stand_the_fids_measured_there_and_trials_that_diverged_before(tmp_path):
    rows = [start(0, origin="baseline:dcgan"), evaluation(0, 6.4, 60.0), evaluation(0, 12.8, 20.0)]
    rows += [start(1), evaluation(1, 6.4, 50.0), start(2), _diverged(2, 3.2), start(3)]
    rows += [start(4, parent="0001", relation="continuation"), evaluation(4, 12.8, 10.0)]
    rows += [start(5, parent="0001", relation="final", seed=7), evaluation(5, 6.4, 1.0)]
    rung = common_rung(load(make_run(tmp_path / "run", rows)))
    assert [(one.trial_id, one.fid, one.reached, one.is_best) for one in rung.trials] == [
        ("0000", 60.0, 12.8, False),
        ("0002", math.inf, 3.2, False),
        ("0004", 50.0, 12.8, True),
    ]
    assert [one.baseline for one in rung.trials] == ["dcgan", None, None]
    assert str(rung) == "FID at 6.4 kimg, which all 2 trials reached; 1 diverged before"
    assert [rung.stage(kimg) for kimg in (0.0, 6.4, 19.1, 19.2, 57.6)] == [0, 1, 1, 2, 3]


def test_a_search_says_how_far_it_is(tmp_path):
    rows = promoting_rows()
    run = load(make_run(tmp_path / "run", rows))
    assert state_text(run) == "not finished: 1 of 16 trials ended"
    writer = Writer(run.dir.results)
    assert state_text(run) == "still running: 1 of 16 trials ended"
    writer.close()
    final = start(16, origin="final", parent="0000", relation="final")
    assert state_text(load(make_run(tmp_path / "finals", [*rows, final]))) == "not finished: 1 of 16 trials ended"
    ended = load(make_run(tmp_path / "ended", [start(0), evaluation(0, 6.4, 9.0), _diverged(0, 7.0)], trials=1))
    assert state_text(ended) is None


def test_the_winner_of_the_finals_leads(tmp_path):
    run = load(big_run(tmp_path / "run", 40, finals=True))
    best = leaders(run, 5)
    assert best[0] is run.winner and len(best) == 5
    finalists = [one.trial_id for one in run.finals.finalists]
    assert [trial.trial_id for trial in best[:4]] == finalists[:4], "the finals say who is second too"
    assert not any(trial.is_final for trial in best)
    assert curves_info(run).best == run.winner.trial_id == losses_info(run)[0].trial_id
    assert not any(run.ledger[curve.trial_id].is_final for curve in curves_info(run).curves)


def test_a_winner_that_is_better_than_its_continuation_is_shown_by_that_one(tmp_path):
    rows = [start(0), evaluation(0, 6.4, 5.0), start(1), evaluation(1, 6.4, 5.5)]
    rows += [start(2, parent="0000", relation="continuation"), evaluation(2, 12.8, 6.0)]
    run = load(make_run(tmp_path / "run", rows))
    info = curves_info(run)
    assert (info.winner, info.best, info.leaders) == ("0000", "0002", ["0002", "0001"])
    assert [(one.trial_id, one.is_best) for one in common_rung(run).trials] == [("0001", False), ("0002", True)]
    (losses,) = dict(Losses().figures(run)).values()
    labels = [text.get_text() for text in losses.legends[0].get_texts()]
    assert labels == ["trial 0002, bce, FID 5.00 (best)", "trial 0001, bce, FID 5.50"]


@pytest.mark.parametrize("end", [[], [_diverged(2, 7.0)]])
def test_a_continuation_without_an_evaluation_is_no_trial_more(tmp_path, end):
    rows = [start(0), evaluation(0, 6.4, 5.0), start(1), evaluation(1, 6.4, 7.0)]
    rows += [start(2, parent="0000", relation="continuation"), *end]
    run = load(make_run(tmp_path / "run", rows))
    assert [trial.trial_id for trial in searched(run)] == ["0000", "0001"]
    assert [one.fid for one in common_rung(run).trials] == [5.0, 7.0]
    assert survival_info(run)[0].trials == 2 and curves_info(run).diverged == []


@given(st.lists(st.floats(1, 1e4) | st.just(math.inf), min_size=8, max_size=60))
def test_a_box_has_its_numbers_in_order(values):
    found = box(values)
    first, median, third = found.quartiles
    assert found.low <= first <= median <= third <= found.high
    assert found.low <= found.interval[0] <= median <= found.interval[1] <= found.high
    assert box(values[:7]) is None


def test_the_interval_of_a_median_covers_it_in_95_of_100_cases():
    rng = random.Random(0)
    for count in (9, 40, 200):
        samples = (sorted(rng.random() for _ in range(count)) for _ in range(1000))
        covered = sum(low <= 0.5 <= high for low, high in map(median_interval, samples))
        assert 935 <= covered <= 1000
    assert median_interval(range(1, 21)) == (6, 15)  # the order statistics of every table for n = 20


def test_a_quantile_beside_a_trial_that_diverged_is_infinite():
    assert quantile([1.0, 3.0], 0.5) == 2.0
    assert quantile([1.0, 3.0, math.inf], 0.5) == 3.0
    assert quantile([1.0, 3.0, math.inf, math.inf], 0.5) == math.inf


def test_a_band_has_the_same_trials_from_one_rung_to_the_next():
    curves = [
        Curve(str(n), n, "stopped", None, [1.0, 2.0, 3.0][:length], [100.0 + n] * length)
        for n, length in enumerate([1] * 20 + [3] * 9)
    ]
    first, second = bands(curves, [1.0, 3.0])
    assert (first.trials, first.kimg) == (29, [1.0])
    assert (second.trials, second.kimg) == (9, [1.0, 2.0, 3.0])
    assert second.fids[0] == second.fids[1] == second.fids[2]  # no trial gets better, so no band falls
    assert second.fids[0][2] == 124.0
    assert len(bands(curves[:27], [1.0, 3.0])) == 1


def test_with_more_than_60_trials_there_are_bands_and_ten_leaders_beside_the_baselines(big, tmp_path):
    info = curves_info(big)
    assert info.bands and len(info.leaders) == 10 and info.leaders[0] == info.best
    assert {curve.trial_id for curve in info.shown} == {*info.leaders, "0000", "0001"}
    small = curves_info(load(big_run(tmp_path / "small", 40)))
    assert not small.bands and small.shown == small.curves


def test_a_parameter_has_the_fids_of_the_common_rung(big, rung):
    info = param_info(rung, big.manifest.space, "optim.g_lr")
    assert [point.trial for point in info.points] == rung.trials and not info.columns
    assert all(point.x == point.trial.params["optim.g_lr"] for point in info.points)
    images = round(rung.kimg * 1000)
    for point in info.points:
        if not point.trial.has_diverged_before:
            assert point.trial.fid == big.ledger.fid_at(point.trial.trial_id, images)
    low = min(zip(info.trend.median, info.trend.x, strict=True))
    assert 8e-4 < low[1] < 1.8e-3 and low[0] * 2 < info.trend.median[0]


@pytest.mark.parametrize(("path", "names"), [("model.attention_at", ["none", "8", "16"]), ("optim.d_steps", None)])
def test_columns_are_the_choices_or_the_whole_numbers(big, rung, path, names):
    info = param_info(rung, big.manifest.space, path)
    assert info.axis.choices == names and info.trend is None
    assert sum(column.trials for column in info.columns) == len(rung.trials)
    lows, highs = zip(*(column.box.interval for column in info.columns), strict=True)
    assert max(lows) < min(highs), "this parameter does not matter, so the intervals overlap"


def test_a_choice_with_fewer_than_8_trials_has_no_box(tmp_path):
    run = _run(tmp_path / "run", [({"model.spectral_norm": at < 7}, [9.0]) for at in range(15)])
    info = param_info(common_rung(run), SPACE, "model.spectral_norm")
    assert [(column.trials, column.box is None) for column in info.columns] == [(8, False), (7, True)]


@settings(max_examples=30)
@given(st.lists(st.tuples(st.floats(1, 9), st.floats(1, 1e4) | st.just(math.inf)), min_size=24, max_size=80))
def test_a_trend_lies_in_its_interval_and_among_the_values(pairs):
    class Trial:
        def __init__(self, fid):
            self.fid = fid

    found = trend([Point(x, Trial(fid)) for x, fid in pairs])
    assert found.x == sorted(found.x) and set(found.low) | set(found.high) <= {fid for _, fid in pairs}
    for low, median, high in zip(found.low, found.median, found.high, strict=True):
        assert low <= median <= high
    assert min(x for x, _ in pairs) <= found.x[0] and found.x[-1] <= max(x for x, _ in pairs)


def test_importance_finds_the_two_parameters_that_matter(big, rung, importance):
    info = importance
    assert {row.path for row in info.parameters[:2]} == set(MATTER)
    assert {row.path for row in info.parameters} == set(big.manifest.space.params)
    assert all(row.share > info.chance for row in info.parameters[:2])
    assert all(row.share < info.chance for row in info.parameters[2:])
    assert all(row.interval[0] <= row.share <= row.interval[1] for row in info.parameters)
    assert sum(row.share for row in info.parameters) <= 1
    assert info.verdict.startswith("clearly more than chance: loss.name")
    pair = strongest_pair(info, rung, big.manifest.space)
    assert (pair.x.path, pair.y.path) == ("optim.g_lr", "loss.name")


def test_a_conditional_parameter_has_no_share_in_the_choice_on_which_it_depends(rung, importance):
    rows = {row.path: row for row in importance.parameters}
    clip = rows["loss.clip"]
    assert clip.only_where == "loss.name = wgan"
    assert clip.trials == sum(trial.params["loss.name"] == "wgan" for trial in rung.trials)
    assert clip.share < 0.1 * rows["loss.name"].share


def test_with_fewer_than_30_trials_nothing_is_important(tmp_path):
    run = load(big_run(tmp_path / "run", 29))
    info = importance_info(common_rung(run), run.manifest.space)
    assert info.parameters == [] and info.trials <= 29
    assert strongest_pair(info, common_rung(run), run.manifest.space) is None


def test_where_all_fids_are_equal_nothing_is_important(tmp_path):
    run = _run(
        tmp_path / "run", [({"optim.beta1": at / 100, "model.spectral_norm": at % 2 == 0}, [9.0]) for at in range(40)]
    )
    info = importance_info(common_rung(run), SPACE)
    assert {row.path: row.share for row in info.parameters} == {"optim.beta1": 0.0, "model.spectral_norm": 0.0}
    assert info.verdict.startswith("no interval lies above chance: 40 trials do not tell")
    assert strongest_pair(info, common_rung(run), SPACE) is None


def test_curves_need_neither_optuna_nor_sklearn():
    script = "import sys, gansearch.analysis.info.curves, gansearch.analysis.info.importance\nprint(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"optuna", "sklearn", "matplotlib"} & set(found.stdout.split())


def test_a_map_has_each_trial_in_one_field(big, rung):
    for pair in (("optim.g_lr", "loss.name"), ("optim.g_lr", "optim.d_lr"), ("loss.name", "model.attention_at")):
        info = pair_info(rung, big.manifest.space, *pair)
        assert len(info.points) == len(rung.trials)
        for field in info.fields:
            inside = [
                trial.fid
                for x, y, trial in info.points
                if field.left <= x < field.right and field.bottom <= y < field.top
            ]
            edge = [trial.fid for x, y, trial in info.points if x == field.right or y == field.top]
            assert len(inside) <= field.trials <= len(inside) + len(edge)
        assert sum(field.trials for field in info.fields) > 0.9 * len(info.points)


def test_each_trial_of_a_rung_has_one_fate(big):
    stages = survival_info(big)
    assert [stage.kimg for stage in stages] == [0, *big.manifest.rungs_kimg]
    assert stages[0].trials == len(searched(big)) == 300
    for stage, following in zip(stages, [*stages[1:], None], strict=True):
        assert sum(stage.fates.values()) == stage.trials
        assert stage.fates["went on"] == (following.trials if following else 0)
    assert stages[-1].fates["completed"] == stages[-1].trials


def test_the_fates_of_a_search_that_is_going_on(tmp_path):
    stages = survival_info(load(make_run(tmp_path / "run", promoting_rows())))
    fates = [{fate: count for fate, count in stage.fates.items() if count} for stage in stages]
    assert fates == [
        {"went on": 5, "running": 1},
        {"went on": 1, "running": 1, "waiting": 3},
        {"went on": 1},
        {"completed": 1},
    ]


def test_progress_is_the_lowest_fid_so_far_against_the_work(big, tmp_path):
    info = progress_info(big)
    assert info.unit == "GPU hours" and [line.name for line in info.baselines] == ["dcgan", "sngan"]
    for line in (info.search, *info.baselines):
        assert line.fid == sorted(line.fid, reverse=True) and line.hours == sorted(line.hours)
    assert info.search.fid[-1] == big.ledger.best.best.fid
    assert info.search.hours[-1] == pytest.approx(big.ledger.gpu_hours(big.manifest.gpus_per_trial))
    without = progress_info(_run(tmp_path / "run", [({}, [9.0, 5.0, 7.0])]))
    assert without.unit == "hours of trials"
    assert without.search.fid == [9.0, 5.0, 5.0]
    assert without.search.hours == pytest.approx([2.9 / 3600, 5.8 / 3600, 8.7 / 3600])


def test_progress_follows_a_baseline_that_was_continued_or_trained_again(tmp_path):
    failed = replace(_diverged(1, 6.4), status="failed")
    rows = [start(0, origin="baseline:a"), evaluation(0, 6.4, 9.0), start(1, origin="baseline:b"), failed]
    rows += [start(2, origin="baseline:a", parent="0000", relation="continuation"), evaluation(2, 12.8, 5.0)]
    rows += [start(3, origin="baseline:b", parent="0001", relation="retry"), evaluation(3, 6.4, 7.0)]
    found = {line.name: line.fid for line in progress_info(load(make_run(tmp_path / "run", rows))).baselines}
    assert found == {"a": [9.0, 5.0, 5.0], "b": [7.0, 7.0]}


def test_losses_of_the_leaders_are_the_rows(big):
    curves = losses_info(big)
    assert len(curves) == 5 and curves[0].trial_id == big.winner.trial_id
    rows = big.winner.evals
    assert curves[0].d_real == [row.d_loss_real for row in rows] and curves[0].g == [row.g_loss for row in rows]
    assert curves[0].loss == big.winner.start.params["loss.name"]


def test_each_place_of_attention_has_the_maps_of_its_best_trial(tmp_path):
    trials = [({"model.attention_at": place}, fids) for place, fids in ((8, [9.0, 5.0]), (8, [6.0]), ("none", [7.0]))]
    run = _run(tmp_path / "run", trials)
    file = run.dir.trial("0000") / attention_file(12_800, "D")
    file.parent.mkdir(parents=True)
    file.touch()
    info = attention_info(run, common_rung(run))
    none, eight, sixteen = info.best
    assert (none.trial_id, none.pictures, sixteen) == ("0002", {}, None)
    assert (eight.trial_id, eight.fid, eight.kimg, eight.pictures) == ("0000", 5.0, 12.8, {"D": file})
    params = {path: one for path, one in SPACE.params.items() if path != "model.attention_at"}
    other = _run(tmp_path / "other", [({}, [9.0])], params=params)
    assert attention_info(other, common_rung(other)) is None


def test_pictures_are_looked_for_in_a_folder_of_their_own_but_not_in_an_object_store(tmp_path):
    trials = [({"model.attention_at": place}, [9.0]) for place in (8, 16)]
    run = _run(tmp_path / "run", trials, storage=str(tmp_path / "storage"))
    for trial_id in run.ledger:
        for name in (samples_file(6400), attention_file(6400, "G")):
            file = tmp_path / "storage" / "run" / trial_id / name
            file.parent.mkdir(parents=True)
            file.touch()
    for loaded, count in ((run, 2), (_run(tmp_path / "far", trials, storage="s3://bucket"), 0)):
        compared = comparison_info(loaded, *loaded.ledger.values())
        attention = attention_info(loaded, common_rung(loaded))
        assert sum(side.samples is not None for side in compared.sides) == count
        assert sum(len(best.pictures) for best in attention.best if best) == count
        assert compared.elsewhere == attention.elsewhere == (None if count else "s3://bucket/far")


def test_replay_has_a_cell_for_each_pair(big, rung, tmp_path):
    info = replay_info(rung, big.manifest.space)
    assert info.every == ["0", "2", "8"] and len(info.losses) == 4
    assert sum(cell.trials for cell in info.cells) == len(rung.trials)
    for cell in info.cells:
        assert (cell.box is None) == (cell.trials < 8)
    other = _run(tmp_path / "run", [({}, [9.0])], params={"loss.name": SPACE.params["loss.name"]})
    assert replay_info(common_rung(other), other.manifest.space) is None


def test_two_trials_are_compared_at_the_greatest_length_at_which_both_have_samples(tmp_path):
    run = _run(tmp_path / "run", [({"optim.beta1": 0.5}, [9.0, 5.0, 4.0]), ({"optim.beta1": 0.25}, [8.0, 6.0])])
    one, other = run.ledger.values()
    assert comparison_info(run, one, other).kimg == 12.8
    for trial_id, images in (("0000", 6400), ("0000", 12_800), ("0001", 6400)):
        file = run.dir.trial(trial_id) / samples_file(images)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    info = comparison_info(run, one, other)
    assert info.kimg == 6.4 and [side.fid for side in info.sides] == [9.0, 8.0]
    assert all(side.samples.is_file() for side in info.sides) and info.real is None
    assert info.differing == [("optim.beta1", "0.5", "0.25")]
    run.dir.real.touch()
    assert comparison_info(run, one, other).real == run.dir.real


def test_a_trial_is_not_compared_with_itself_or_without_a_fid(tmp_path):
    run = _run(tmp_path / "run", [({}, [9.0]), ({}, [])])
    one, other = run.ledger.values()
    with pytest.raises(UserError, match="itself"):
        comparison_info(run, one, one)
    with pytest.raises(UserError, match="no evaluation"):
        comparison_info(run, one, other)


def test_a_decision_alone_moves_no_trial_to_the_next_rung(tmp_path):
    rows = [start(0), evaluation(0, 6.4, 50.0), decision(0, 6.4, "goes on", 50.0, 50.0, 1)]
    stages = survival_info(load(make_run(tmp_path / "run", rows)))
    assert stages[1].fates["running"] == 1 and stages[1].fates["went on"] == 0
