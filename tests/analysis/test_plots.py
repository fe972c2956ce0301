import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.text import Text
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from PIL import Image

from benchmarks.big_run import big_run
from gansearch import foreign
from gansearch.analysis.draw.parameter import number_axis
from gansearch.analysis.info.common_rung import common_rung
from gansearch.analysis.info.curves import curves_info, fits, is_wide
from gansearch.analysis.info.parameters import axis_of, param_info
from gansearch.analysis.plots.base import Plot
from gansearch.analysis.plots.curves import Curves
from gansearch.analysis.plots.parameters import Parameters, parameter_figure
from gansearch.analysis.plotting import compare, comparison, figures, plot
from gansearch.analysis.report.parameter_charts import axis_layout
from gansearch.cli import analyze
from gansearch.config import TrialConfig
from gansearch.errors import UserError
from gansearch.run import Floor, Space, When, load
from gansearch.run.paths import attention_file, samples_file
from gansearch.run.rows import End
from gansearch.text import fid_text

from .synthetic_run import KIMG, PARAMS, RUNGS, evaluation, make_run, make_search, promoting_rows, start

ALL = {"attention", "fid_vs_kimg", "importance", "losses", "parameters", "progress", "replay", "rungs"}


@pytest.fixture
def run(tmp_path):
    return load(make_search(tmp_path / "run"))


def _run(path, trials, **search):
    """Trials of one evaluation each: (params, FID)."""
    rows = []
    for number, (params, fid) in enumerate(trials):
        rows += [start(number, params), evaluation(number, 6.4, fid)]
    return load(make_run(path, rows, **search))


def _param(run, path):
    return param_info(common_rung(run), run.manifest.space, path)


def _curves(run):
    (figure,) = dict(Curves().figures(run)).values()
    return figure


def _texts(figure):
    found = [*figure.texts, *figure.axes[0].texts, figure.axes[0].title, figure.axes[0]._left_title]
    return " | ".join(text.get_text() for text in found)


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


def test_a_trial_that_continues_another_shows_both_and_a_final_is_no_point(tmp_path):
    def follower(number, relation):
        return start(number, {"optim.g_lr": 1e-3}, parent="0000", relation=relation)

    rows = [start(0, {"optim.g_lr": 1e-3}), evaluation(0, 6.4, 9.0), evaluation(0, 12.8, 7.0)]
    rows += [follower(1, "continuation"), evaluation(1, 19.2, 6.0), follower(2, "final"), evaluation(2, 6.4, 1.0)]
    run = load(make_run(tmp_path / "run", rows))
    info = curves_info(run)
    assert [(curve.kimg, curve.fid) for curve in info.curves] == [([6.4, 12.8, 19.2], [9.0, 7.0, 6.0])]
    (point,) = _param(run, "optim.g_lr").points
    assert (point.trial.trial_id, point.trial.fid, point.trial.is_best, info.best) == ("0001", 6.0, True, "0001")


def test_inactive_parameters_are_left_out(tmp_path):
    trials = [({"loss.name": "wgan", "loss.clip": 0.01}, 50.0), ({"loss.name": "bce", "loss.clip": 0.02}, 40.0)]
    info = _param(_run(tmp_path / "run", trials), "loss.clip")
    assert [point.x for point in info.points] == [0.01]
    assert info.axis.only_where == "loss.name = wgan"


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
    info = _param(run, "optim.d_lr/optim.beta1")
    assert info.axis.only_where == "model.spectral_norm = true and loss.name = wgan or wgan-gp"
    assert [point.x for point in info.points] == [1.5]
    assert _param(run, "loss.name").axis.only_where is None
    assert "fid_vs_optim.d_lr_optim.beta1" in dict(Parameters().figures(run))


def test_choices_are_in_the_order_of_the_domain_and_mix_types(tmp_path):
    trials = [({"model.attention_at": value}, 50.0 + number) for number, value in enumerate([16, "none", 16])]
    info = _param(_run(tmp_path / "run", trials), "model.attention_at")
    assert (info.axis.choices, info.axis.limits) == (["none", "8", "16"], (0.0, 2.0))
    assert [point.x for point in info.points] == [2, 0, 2]
    assert [column.trials for column in info.columns] == [1, 0, 2]
    info = _param(_run(tmp_path / "flags", [({"model.spectral_norm": True}, 9.0)]), "model.spectral_norm")
    assert (info.axis.choices, info.points[0].x) == (["false", "true"], 1)


def test_an_axis_of_whole_numbers_has_ticks_at_whole_numbers():
    domain = {"optim.d_steps": IntDistribution(1, 2)}
    axis, axes = axis_of(Space(base=TrialConfig(), params=domain), "optim.d_steps"), Figure().add_subplot()
    number_axis(axis, axes, "y")
    assert {tick for tick in axes.get_yticks() if 1 <= tick <= 2} == {1.0, 2.0}
    assert axis_layout(axis)["dtick"] == 1


def test_an_axis_spans_the_domain(tmp_path):
    info = _param(_run(tmp_path / "run", [({"optim.g_lr": 1e-3}, 50.0)]), "optim.g_lr")
    assert info.axis.limits == (1e-4, 4e-3) and info.axis.log


@given(st.lists(st.floats(1e-3, 1e6), min_size=1), st.floats(0.1, 10))
def test_the_log_axis_depends_on_ratios_alone(fids, scale):
    ratio = max(fids) / min(fids)
    if not math.isclose(ratio, 8, rel_tol=1e-6):
        assert is_wide(fids) == is_wide(fid * scale for fid in fids) == (ratio > 8)
    assert not is_wide([*fids, 0.0])


def _floor_lines(figure, fid):
    return [
        line for line in figure.axes[0].lines if line.get_linestyle() == ":" and list(line.get_ydata()) == [fid] * 2
    ]


@pytest.mark.parametrize("fid", [20.0, 30.0, 90.0])
def test_the_floor_is_a_labelled_dotted_line(tmp_path, fid):
    run = load(make_search(tmp_path / "run", floor=Floor(split="test", images=360, fid=fid)))
    figure = _curves(run)
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
    plain = _curves(load(make_search(tmp_path / "plain")))
    run = load(make_search(tmp_path / "run", floor=Floor(split="test", images=360, fid=fid)))
    figure = _curves(run)
    assert not _floor_lines(figure, fid)
    assert figure.axes[0].get_ylim() == plain.axes[0].get_ylim()
    assert label in {text.get_text() for text in figure.axes[0].texts}


def test_a_line_at_zero_fits_no_log_axis():
    assert fits(0.0, [1.0, 10.0], log=False)
    assert not fits(0.0, [1.0, 10.0], log=True)
    assert not fits(1.0, [], log=False)


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
    figure = _curves(run)
    (legend,) = figure.legends
    markers = {handle.get_label(): handle.get_marker() for handle in legend.legend_handles}
    assert set(markers) == {"running", "waiting", "best trial", "rung (kimg)"}
    (axes,) = figure.axes
    at_rung = [line for line in axes.lines if list(line.get_xdata()) == [6.4] and line.get_marker() != "None"]
    assert sorted(line.get_ydata()[0] for line in at_rung) == [55.0, 70.0, 80.0]
    assert {line.get_marker() for line in at_rung} == {markers["waiting"]} != {markers["running"]}


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    """A search of 64 trials, of which one has a sample grid and attention maps."""
    run = big_run(tmp_path_factory.mktemp("runs") / "big", 64)
    for trial in load(run).ledger.values():
        for row in trial.evals[-1:]:
            for name in (samples_file(row.images), attention_file(row.images, "D")):
                file = run.trial(trial.trial_id) / name
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (60, 40), "red").save(file)
    return load(run)


def test_plots_are_pictures(big, tmp_path):
    paths = plot(big, tmp_path)
    params = {f"fid_vs_{path}" for path in PARAMS}
    assert {path.stem for path in paths} == {*ALL, "map", *params} and set(tmp_path.iterdir()) == set(paths)
    for path in paths:
        pixels = np.asarray(Image.open(path).convert("L"))
        assert pixels.shape[0] > 300 and pixels.shape[1] > 700
        assert len(np.unique(pixels)) > 50 and 0.01 < (pixels < 255).mean() < 0.6


def test_the_curves_show_the_numbers(run):
    (axes,) = _curves(run).axes
    assert axes.get_yscale() == "log"
    drawn = [tuple(line.get_ydata()) for line in axes.lines]
    curves = curves_info(run).curves
    for curve in curves:
        assert tuple(curve.fid) in drawn
    assert "o" in {line.get_marker() for line in axes.lines if tuple(line.get_ydata()) == tuple(curves[0].fid)}
    assert {text.get_text() for text in axes.texts} >= {"6.4", "19.2", "57.6", "dcgan"}
    (epochs,) = axes.child_axes
    assert epochs.get_xlabel() == "epochs of 1,437 training images"
    axes.figure.draw_without_rendering()
    assert epochs.get_xlim() == pytest.approx([kimg * 1000 / 1437 for kimg in axes.get_xlim()])


def test_a_parameter_shows_its_numbers(run):
    rung, info = common_rung(run), _param(run, "optim.g_lr")
    (axes,) = parameter_figure("run", rung, info, [str(rung)]).axes
    assert axes.get_xscale() == "log"
    low, high = axes.get_xlim()
    assert low < 1e-4 and high > 4e-3
    drawn = [tuple(place) for points in axes.collections[-2:] for place in points.get_offsets()]
    marked = [(line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines if line.get_marker() in "*D"]
    wanted = [(point.x, point.trial.fid) for point in info.points if not point.trial.has_diverged_before]
    assert set(wanted) <= {*drawn, *marked} and len(marked) == 2
    diverged = [x for x, y in drawn if y == pytest.approx(0.985)]
    assert diverged == [point.x for point in info.points if point.trial.has_diverged_before]


@given(st.lists(st.floats(1, 1e4), min_size=2), st.floats(1, 1e4), st.booleans())
def test_a_line_fits_where_the_curves_keep_three_quarters(values, line, log):
    scale = math.log if log else float
    share = scale(max(values)) - scale(min(values))
    whole = scale(max([*values, line])) - scale(min([*values, line]))
    if not math.isclose(share, 0.75 * whole, rel_tol=1e-6):
        assert fits(line, values, log) == (share > 0.75 * whole)


@pytest.mark.parametrize("status", ["completed", "diverged"])
def test_a_single_trial_is_not_compared(tmp_path, status):
    end = End(trial_id="0000", number=0, status=status, best_fid=30.0, best_kimg=6.4, kimg=9.0, reason="x")
    rows = [start(0, {"optim.g_lr": 1e-3, "loss.name": "bce"}), evaluation(0, 6.4, 30.0), end]
    run = load(make_run(tmp_path / "run", rows, trials=1))
    assert curves_info(run).rungs == ()
    assert {path.stem for path in plot(run)} == {"fid_vs_kimg", "losses", "progress"}


def test_a_run_without_parameters_has_no_plot_of_them(tmp_path):
    names = dict(figures(_run(tmp_path / "run", [({}, 5.0), ({}, 6.0)], params={})))
    assert set(names) == {"fid_vs_kimg", "losses", "progress", "rungs"}


def test_a_search_that_is_going_on_says_so(tmp_path):
    drawn = dict(figures(load(make_run(tmp_path / "run", promoting_rows(), scheduler=None))))
    assert drawn and all("not finished: 1 of 16 trials ended" in _texts(figure) for figure in drawn.values())


def test_few_trials_are_said_to_be_too_few(run):
    drawn = dict(figures(run))
    assert "map" not in drawn
    assert "not enough trials: 9 at this length, an estimate needs 30" in _texts(drawn["importance"])


def test_where_attention_left_no_maps_the_plot_says_so(run, big):
    assert "left no attention maps" in _texts(dict(figures(run))["attention"])
    with_maps = dict(figures(big))["attention"]
    assert "left no" not in _texts(with_maps) and len(with_maps.axes) == 4


@pytest.mark.parametrize("keeps", [0.0, 0.5], ids=["empty", "cut"])
def test_damaged_pictures_of_trials_are_left_out(run, tmp_path, keeps):
    files = [run.dir.real]
    for row in itertools.chain.from_iterable(trial.evals for trial in run.ledger.values()):
        names = samples_file(row.images), attention_file(row.images, "G")
        files += [run.dir.trial(row.trial_id) / name for name in names]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((60, 60), 90).save(file)
        file.write_bytes(file.read_bytes()[: int(keeps * file.stat().st_size)])
    drawn = dict(figures(run)) | dict([comparison(run, ("0", "1"))])
    texts = {name: " | ".join(text.get_text() for text in figure.findobj(Text)) for name, figure in drawn.items()}
    assert "G: no picture" in texts["attention"]
    assert "no picture of real images" in texts["compare_0000_0001"] and "no samples here" in texts["compare_0000_0001"]


def test_the_texts_over_a_plot_fit_into_it(tmp_path):
    trials = [({"optim.beta1": at / 40, "loss.name": ["bce", "wgan"][at % 2]}, 9.0 + at % 7) for at in range(31)]
    run = _run(tmp_path / ("long" * 9 + " name" * 30), trials)
    for figure in [*dict(figures(run)).values(), comparison(run, ("0", "1"))[1]]:
        figure.draw_without_rendering()
        for text in (figure._suptitle, figure.axes[0]._left_title):
            box = text.get_window_extent()
            assert box.x0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
        assert figure._suptitle.get_window_extent().y0 >= figure.axes[0]._left_title.get_window_extent().y1


def test_fields_and_points_of_one_fid_have_one_colour(tmp_path):
    trials = [({"optim.beta1": at / 100, "model.spectral_norm": at % 2 == 0}, 9.0 + (at == 0)) for at in range(80)]
    (axes, _) = dict(figures(_run(tmp_path / "run", trials)))["map"].axes
    shades = {tuple(patch.get_facecolor()[:3]) for patch in axes.patches}
    (points,) = axes.collections
    points.update_scalarmappable()
    assert shades == {tuple(colour[:3]) for colour in points.get_facecolor()[1:]}


def test_two_trials_make_one_picture(big, tmp_path):
    path = compare(big, ("1", "0007"), tmp_path)
    assert path == tmp_path / "compare_0001_0007.png" and Image.open(path).width > 1000


def test_long_names_and_choices_leave_room_for_the_plot(tmp_path):
    classes = ["RelativisticAverageHinge", "NonSaturatingWithR1", "WassersteinWithClipping", "Wasserstein" * 10]
    names, path = [f"my_losses:{name}" for name in classes], "model." + "long_option_name_" * 8
    params = {"loss.name": CategoricalDistribution(names), path: FloatDistribution(0, 1)}
    params |= {
        "optim.d_lr": When("loss.name", names[3], FloatDistribution(0, 1)),
        "replay.every": PARAMS["replay.every"],
    }
    values = [{"loss.name": names[at % 4], path: at / 40, "replay.every": at % 3} for at in range(40)]
    trials = [(one | ({"optim.d_lr": 0.5} if at % 4 == 3 else {}), 9.0 + at) for at, one in enumerate(values)]
    for name, figure in figures(_run(tmp_path / "run", trials, params=params)):
        figure.draw_without_rendering()
        for axes in figure.axes[: 1 if name == "map" else None]:
            ticks = [label.get_window_extent() for label in axes.get_xticklabels()]
            assert all(one.x1 <= other.x0 for one, other in itertools.pairwise(ticks)), name
            label = axes.xaxis.label.get_window_extent()
            assert label.width <= 1.3 * axes.bbox.width and axes.bbox.height > 140, name
            assert axes.bbox.width > 0.5 * figure.bbox.width / len(figure.axes), name


class WithLogAxis(Plot):
    def figures(self, run):
        figure = Figure()
        axes = figure.add_subplot()
        axes.set_title(r"$\bar")
        axes.bar([r"$\foo$", "b"], [1, 1000], log=True)
        yield "own", figure


def test_a_dollar_in_any_name_is_no_formula(tmp_path):
    params = {"optim.beta1": FloatDistribution(0.0, 0.9), "loss.name": CategoricalDistribution([r"$\foo$", "m$:n$"])}
    trials = [({"optim.beta1": at / 40, "loss.name": [r"$\foo$", "m$:n$"][at % 2]}, 9.0 + at) for at in range(40)]
    run = _run(tmp_path / r"$\run$", trials, params=params, storage=r"s3://$\bucket$")
    foreign.permit([own := f"{__name__}:WithLogAxis"])
    drawn = dict(figures(run, [own])) | dict([comparison(run, ("0", "1"))])
    assert {"map", "own", "compare_0000_0001"} <= drawn.keys()
    for name, figure in drawn.items():
        figure.savefig(tmp_path / f"{name}.png", dpi=40)
    names, numbers = drawn["own"].axes[0].get_xticklabels(), drawn["own"].axes[0].get_yticklabels()
    assert [label.get_text() for label in names] == [r"$\foo$", "b"] and all(one.get_parse_math() for one in numbers)


@pytest.mark.parametrize(
    ("trials", "message"), [("1,9999", "unknown trial"), ("1", "name two trials"), ("1,1", "itself"), ("1,2,3", "two")]
)
def test_wrong_trials_are_refused_in_one_line(big, capsys, trials, message):
    try:
        code = analyze.main(["plot", str(big.dir.path), "--trials", trials])
    except SystemExit as end:
        code = end.code
    assert code == 2 and message in capsys.readouterr().err


def test_the_ten_best_are_drawn_over_bands_of_many_trials(big):
    (axes,) = _curves(big).axes
    assert axes.get_xscale() == "log" and len(axes.collections) >= 2
    assert f"n={curves_info(big).bands[0].trials}" in {text.get_text() for text in axes.texts}
