"""The sections of a report with charts and images."""

from collections.abc import Sequence
from typing import NamedTuple

from gansearch.analysis.info.common_rung import common_rung
from gansearch.analysis.info.curves import CurvesInfo, curve_of, curves_info
from gansearch.analysis.info.importance import LEAST_TRIALS, importance_info
from gansearch.analysis.info.losses import loss_curves, losses_info
from gansearch.analysis.info.pair import strongest_pair
from gansearch.analysis.info.parameters import ParamInfo, param_info
from gansearch.analysis.info.progress import progress_info
from gansearch.analysis.info.replay import replay_info
from gansearch.analysis.info.survival import survival_info
from gansearch.analysis.info.trials import leaders
from gansearch.analysis.report.chart import Chart
from gansearch.analysis.report.course_charts import losses_charts, progress_chart, survival_chart, winner_losses_chart
from gansearch.analysis.report.curve_charts import curves_chart, trial_chart
from gansearch.analysis.report.gallery import animation, attention, generated, side_by_side
from gansearch.analysis.report.images import Picture
from gansearch.analysis.report.map_charts import map_chart, replay_chart
from gansearch.analysis.report.parameter_charts import importance_chart, parameter_chart
from gansearch.program import command
from gansearch.run.ledger import TrialState
from gansearch.run.loaded import Run

_LEADERS = 5


class Group(NamedTuple):
    """A section of the page.

    Args:
        id: The anchor.
        title: The heading.
        notes: Paragraphs below the heading.
        charts: Charts.
        pictures: Images side by side, each row of them below a heading, which may be empty.
        animation: An image that moves.
        still: What stands for the animation where nothing may move, and on paper.
        text: A text in a fixed width, below `text_title`.
    """

    id: str
    title: str
    notes: Sequence[str] = ()
    charts: Sequence[Chart] = ()
    pictures: Sequence[tuple[str, list[Picture]]] = ()
    animation: Picture | None = None
    still: Picture | None = None
    text: str | None = None
    text_title: str = ""


def groups(run: Run, networks: str | None) -> list[Group]:
    """Returns the sections with charts and images, in their order; none where no trial has an FID.

    `networks` is the summary of the best generator's networks, where there is one.
    """
    winner = run.winner
    if winner is None:
        return []
    curves = curves_info(run)
    return [_course(run, curves), *_parameters(run), _images(run), _figures(run, winner, curves, networks)]


def _course(run: Run, curves: CurvesInfo) -> Group:
    stages = survival_info(run)
    charts = [curves_chart(curves, run.manifest), progress_chart(progress_info(run))]
    if stages:
        charts.append(survival_chart(stages))
    return Group(id="course", title="The course of the search", charts=[*charts, *losses_charts(losses_info(run))])


def _parameters(run: Run) -> list[Group]:
    """Returns the section on the parameters; none where nothing is searched or no trial has come to a common length."""
    rung, space = common_rung(run), run.manifest.space
    if not rung.measured or not space.params:
        return []
    importance = importance_info(rung, space)
    order = [row.path for row in importance.parameters]
    paths = sorted(space.params, key=lambda path: order.index(path) if path in order else len(order))
    infos = [info for path in paths if _has_fid(info := param_info(rung, space, path))]
    charts = [parameter_chart(info, rung, number) for number, info in enumerate(infos)]
    replay_of = replay_info(rung, space)
    replay = [replay_chart(replay_of, rung)] if replay_of else []
    notes = [
        f"{rung}. Like is compared with like: all these FIDs are of one length of training. A point is a trial, the "
        "bluer the further it was trained; a star is the winner, an open diamond a baseline."
    ]
    if importance.parameters:
        pair = strongest_pair(importance, rung, space)
        charts = [importance_chart(importance), *([map_chart(pair, rung)] if pair else []), *replay, *charts]
    else:
        notes.append(f"With fewer than {LEAST_TRIALS} trials there, nothing can be said about which parameters matter.")
    return [Group(id="parameters", title="The parameters", notes=notes, charts=charts)]


def _has_fid(info: ParamInfo) -> bool:
    return any(not point.trial.has_diverged_before for point in info.points)


def _images(run: Run) -> Group:
    shown = generated(run, leaders(run, _LEADERS))
    return Group(
        id="images",
        title="Generated images",
        notes=[
            "The same latents for every trial: an image at one place differs by the generator alone.",
            *shown.notes,
        ],
        pictures=[("", shown.pictures)],
    )


def _figures(run: Run, winner: TrialState, curves: CurvesInfo, networks: str | None) -> Group:
    """Returns the figures that a report of one model shows."""
    shown = run.best_generator or winner
    pair, (moving, still) = side_by_side(run, shown), animation(run, shown)
    final = f"The winner is shown by its final {shown.trial_id}, whose FID is the nearest to the mean."
    return Group(
        id="figures",
        title="The winner in figures",
        notes=[*([] if shown is winner else [final]), *pair.notes],
        charts=[winner_losses_chart(loss_curves(run, shown)), trial_chart(curve_of(run, shown), curves, run.manifest)],
        pictures=[
            ("The winner beside the best baseline, after as much training", pair.pictures),
            ("Attention maps", attention(run, shown)),
        ],
        animation=moving,
        still=still,
        text=networks or command("trial", run.dir.trial_config(shown.trial_id), "--describe", *run.plan.code_flag),
        text_title="G and D, layer by layer" if networks else "This command prints G and D, layer by layer",
    )
