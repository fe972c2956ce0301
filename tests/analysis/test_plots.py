import math

import numpy as np
import pytest
from gansearch.analysis.plot_info import curves_info, fits, is_wide, param_info
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution
from PIL import Image

from gansearch.analysis.plots.parameters import parameter_figure
from gansearch.analysis.plotting import figures, plot
from gansearch.errors import UserError
from gansearch.run import Floor, When, load
from gansearch.run.rows import End
from gansearch.text import fid_text

from .synthetic_run import KIMG, PARAMS, RUNGS, evaluation, make_run, make_search, promoting_rows, start


@pytest.fixture
def run(tmp_path):
    return load(make_search(tmp_path / "run"))


def _run(path, trials, **search):
    """Trials of one evaluation each: (params, FID)."""
    rows = []
    for number, (params, fid) in enumerate(trials):
        rows += [start(number, params), evaluation(number, 6.4, fid)]
    return load(make_run(path, rows, **search))


def test_curves_are_the_rows(run):
    info = curves_info(run)
    assert info.rungs == tuple(RUNGS)
    assert [curve.number for curve in info.curves] == [0, 1, *range(3, 16)]
    for curve in info.curves:
        state = run.ledger[curve.trial_id]
        assert curve.kimg == KIMG[: len(curve.kimg)]
        assert curve.fid == [row.fid for row in state.evals]
        assert curve.status == state.status
    lowest = min(info.curves, key=lambda curve: min(curve.fid))
    assert info.best == lowest.trial_id
    assert info.log_fid


def test_every_active_value_is_a_point(run):
    for path in PARAMS:
        info = param_info(run, path)
        states = [state for state in run.ledger.values() if state.best and path in state.start.params]
        assert [point.trial_id for point in info.points] == [state.trial_id for state in states]
        assert [point.fid for point in info.points] == [state.best.fid for state in states]
        assert info.limits[0] <= min(point.x for point in info.points)
        if info.choices is None:
            assert [point.x for point in info.points] == [state.start.params[path] for state in states]
            assert info.log_x == run.manifest.space.params[path].domain.range.log
        else:
            assert sorted(fid for index in range(len(info.choices)) for fid in info.group(index)) == sorted(
                point.fid for point in info.points
            )
    assert len(param_info(run, "loss.clip").points) < 15


def test_a_trial_that_continues_another_shows_both_and_a_final_is_no_point(tmp_path):
    def follower(number, relation):
        return start(number, {"optim.g_lr": 1e-3}, parent="0000", relation=relation)

    rows = [start(0, {"optim.g_lr": 1e-3}), evaluation(0, 6.4, 9.0), evaluation(0, 12.8, 7.0)]
    rows += [follower(1, "continuation"), evaluation(1, 19.2, 6.0), follower(2, "final"), evaluation(2, 6.4, 1.0)]
    run = load(make_run(tmp_path / "run", rows))
    info = curves_info(run)
    assert [(curve.kimg, curve.fid) for curve in info.curves] == [
        ([6.4, 12.8], [9.0, 7.0]),
        ([6.4, 12.8, 19.2], [9.0, 7.0, 6.0]),
        ([6.4], [1.0]),
    ]
    points = param_info(run, "optim.g_lr")
    assert [(point.trial_id, point.fid) for point in points.points] == [("0000", 7.0), ("0001", 6.0)]
    assert (points.best, info.best) == ("0001", "0002")


def test_inactive_parameters_are_left_out(tmp_path):
    trials = [({"loss.name": "wgan", "loss.clip": 0.01}, 50.0), ({"loss.name": "bce", "loss.clip": 0.02}, 40.0)]
    info = param_info(_run(tmp_path / "run", trials), "loss.clip")
    assert [point.x for point in info.points] == [0.01]
    assert info.only_where == "loss.name = wgan"


def test_a_plot_names_all_conditions_of_its_parameter(tmp_path):
    params = {
        "loss.name": CategoricalDistribution(["bce", "wgan", "wgan-gp"]),
        "model.spectral_norm": When(
            "loss.name", among=["wgan", "wgan-gp"], domain=CategoricalDistribution([False, True])
        ),
        "optim.beta1": When("model.spectral_norm", True, FloatDistribution(0.0, 0.9)),
        "optim.d_lr/optim.beta1": FloatDistribution(0.5, 2.0),
    }
    values = {"loss.name": "wgan", "model.spectral_norm": True, "optim.beta1": 0.5, "optim.d_lr/optim.beta1": 1.5}
    run = _run(tmp_path / "run", [(values, 9.0), (values | {"model.spectral_norm": False}, 8.0)], params=params)
    info = param_info(run, "optim.d_lr/optim.beta1")
    assert info.only_where == "model.spectral_norm = true and loss.name = wgan or wgan-gp"
    assert [point.x for point in info.points] == [1.5]
    assert param_info(run, "loss.name").only_where is None
    assert "fid_vs_optim.d_lr_optim.beta1.png" in {path.name for path in plot(run)}


def test_choices_are_in_the_order_of_the_domain_and_mix_types(tmp_path):
    trials = [({"model.attention_at": value}, 50.0 + number) for number, value in enumerate([16, "none", 16])]
    info = param_info(_run(tmp_path / "run", trials), "model.attention_at")
    assert (info.choices, info.limits) == (["none", "8", "16"], (0.0, 2.0))
    assert [point.x for point in info.points] == [2, 0, 2]
    assert (info.group(2), info.group(1)) == ([50.0, 52.0], [])
    info = param_info(_run(tmp_path / "flags", [({"model.spectral_norm": True}, 9.0)]), "model.spectral_norm")
    assert (info.choices, info.points[0].x) == (["false", "true"], 1)


def test_an_axis_spans_the_domain(tmp_path):
    info = param_info(_run(tmp_path / "run", [({"optim.g_lr": 1e-3}, 50.0)]), "optim.g_lr")
    assert info.limits == (1e-4, 4e-3) and info.log_x


@given(st.lists(st.floats(1e-3, 1e6), min_size=1), st.floats(0.1, 10))
def test_the_log_axis_depends_on_ratios_alone(fids, scale):
    ratio = max(fids) / min(fids)
    if not math.isclose(ratio, 8, rel_tol=1e-6):
        assert is_wide(fids) == is_wide(fid * scale for fid in fids) == (ratio > 8)
    assert not is_wide([*fids, 0.0])


def test_plots_are_pictures(run):
    paths = plot(run)
    names = {path.name for path in run.dir.plots.iterdir()}
    assert names == {"fid_vs_kimg.png", "parameters.png", *(f"fid_vs_{path}.png" for path in PARAMS)}
    assert {path.name for path in paths} == names
    for path in paths:
        pixels = np.asarray(Image.open(path).convert("L"))
        assert pixels.shape[0] > 400 and pixels.shape[1] > 700
        assert len(np.unique(pixels)) > 50
        assert 0.01 < (pixels < 255).mean() < 0.5


def test_the_drawing_shows_the_numbers(run):
    (axes,) = dict(figures(run))["fid_vs_kimg"].axes
    assert axes.get_yscale() == "log"
    drawn = [tuple(line.get_ydata()) for line in axes.lines]
    for curve in curves_info(run).curves:
        assert tuple(curve.fid) in drawn
    assert {text.get_text() for text in axes.texts} >= {"6.4", "19.2", "57.6"}
    (epochs,) = axes.child_axes
    assert epochs.get_xlabel() == "epochs of 1,437 training images"
    axes.figure.draw_without_rendering()
    assert epochs.get_xlim() == pytest.approx([kimg * 1000 / 1437 for kimg in axes.get_xlim()])
    info = param_info(run, "optim.g_lr")
    (axes,) = parameter_figure(info).axes
    assert axes.get_xscale() == "log"
    assert sorted(float(line.get_xdata()[0]) for line in axes.lines) == sorted(point.x for point in info.points)
    low, high = axes.get_xlim()
    assert low < 1e-4 and high > 4e-3


def _floor_lines(figure, fid):
    return [
        line for line in figure.axes[0].lines if line.get_linestyle() == ":" and list(line.get_ydata()) == [fid] * 2
    ]


@pytest.mark.parametrize("fid", [12.0, 0.5, 90.0])
def test_the_floor_is_a_labelled_dotted_line(tmp_path, fid):
    run = load(make_search(tmp_path / "run", floor=Floor(split="test", images=360, fid=fid)))
    figure = dict(figures(run))["fid_vs_kimg"]
    (axes,) = figure.axes
    assert len(_floor_lines(figure, fid)) == 1
    low, high = axes.get_ylim()
    assert axes.get_yscale() == "log" and low < fid < high
    assert f"floor {fid_text(fid)}" in {text.get_text() for text in axes.texts}
    (legend,) = figure.legends
    assert "floor: 360 real test images" in {text.get_text() for text in legend.get_texts()}


@pytest.mark.parametrize(
    ("fid", "label"), [(0.0, "↓ floor 0.0000"), (1e-6, "↓ floor 0.0000"), (1e9, "↑ floor 1000000000.00")]
)
def test_a_floor_far_off_does_not_squash_the_curves(tmp_path, fid, label):
    plain = dict(figures(load(make_search(tmp_path / "plain"))))["fid_vs_kimg"]
    run = load(make_search(tmp_path / "run", floor=Floor(split="test", images=360, fid=fid)))
    figure = dict(figures(run))["fid_vs_kimg"]
    assert not _floor_lines(figure, fid)
    assert figure.axes[0].get_ylim() == plain.axes[0].get_ylim()
    assert label in {text.get_text() for text in figure.axes[0].texts}


@given(st.lists(st.floats(1, 1e4), min_size=2), st.floats(1, 1e4), st.booleans())
def test_a_line_fits_where_the_curves_keep_a_third(values, line, log):
    scale = math.log if log else float
    share = scale(max(values)) - scale(min(values))
    whole = scale(max([*values, line])) - scale(min([*values, line]))
    if not math.isclose(3 * share, whole, rel_tol=1e-6):
        assert fits(line, values, log) == (3 * share > whole)


def test_a_line_at_zero_fits_no_log_axis():
    assert fits(0.0, [1.0, 10.0], log=False)
    assert not fits(0.0, [1.0, 10.0], log=True)
    assert not fits(1.0, [], log=False)


def test_a_single_trial_draws(tmp_path):
    end = End(trial_id="0000", number=0, status="diverged", best_fid=30.0, best_kimg=6.4, kimg=9.0, reason="x")
    rows = [start(0, {"optim.g_lr": 1e-3, "loss.name": "bce"}), evaluation(0, 6.4, 30.0), end]
    space = {path: PARAMS[path] for path in ("optim.g_lr", "loss.name")}
    run = load(make_run(tmp_path / "run", rows, params=space, trials=1))
    assert curves_info(run).rungs == () and len(plot(run)) == 4


def test_a_run_without_parameters_has_one_plot(tmp_path):
    assert [path.name for path in plot(_run(tmp_path / "run", [({}, 5.0)], params={}))] == ["fid_vs_kimg.png"]


def test_a_run_without_an_evaluation_is_refused(tmp_path):
    with pytest.raises(UserError, match="no evaluation"):
        plot(load(make_run(tmp_path / "run", [start(0)])))
    assert not (tmp_path / "run" / "plots").exists()


def test_a_file_in_the_place_of_the_folder_is_refused(run, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="--out"):
        plot(run, tmp_path / "file")


def test_the_curve_of_a_trial_that_waits_ends_as_the_legend_says(tmp_path):
    run = load(make_run(tmp_path / "run", promoting_rows()))
    (figure,) = [figure for name, figure in figures(run) if name == "fid_vs_kimg"]
    (legend,) = figure.legends
    markers = {handle.get_label(): handle.get_marker() for handle in legend.legend_handles}
    assert set(markers) == {"running", "waiting", "best", "rung (kimg)"}
    (axes,) = figure.axes
    at_rung = [line for line in axes.lines if list(line.get_xdata()) == [6.4] and line.get_marker() != "None"]
    assert sorted(line.get_ydata()[0] for line in at_rung) == [55.0, 70.0, 80.0]
    assert {line.get_marker() for line in at_rung} == {markers["waiting"]} != {markers["running"]}
