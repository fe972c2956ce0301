"""Charts of the FID at the common rung over two parameters at once."""

import math
import random

from gansearch.analysis.info.common_rung import CommonRung
from gansearch.analysis.info.pair import Field, PairInfo
from gansearch.analysis.info.parameters import Axis
from gansearch.analysis.info.replay import ReplayInfo
from gansearch.analysis.report.chart import Chart, Layout, Trace, plain, shown
from gansearch.analysis.report.parameter_charts import MOST_POINTS, axis_layout, trial_text
from gansearch.text import fid_text, kimg_text


def map_chart(info: PairInfo, rung: CommonRung) -> Chart:
    """Returns the FID at the common rung over two parameters: fields with their medians, and the trials."""
    fields = [field for field in info.fields if math.isfinite(field.median)]
    best = min(fields, key=lambda field: field.median, default=None)
    alt = f"Map of the FID at {kimg_text(rung.kimg)} kimg over {info.x.path} and {info.y.path}."
    if best is not None:
        alt += f" The lowest median is {fid_text(best.median)}, of {best.trials} trials."
    return Chart(
        name="map",
        title=f"{info.x.path} and {info.y.path} together",
        caption="The two parameters that matter most; a number is the median FID of the trials in its field, and the "
        "stronger its colour, the lower it is.",
        alt=alt,
        size="half",
        data=[_medians(info, fields), *_trials(info)],
        layout={
            "xaxis": axis_layout(info.x),
            "yaxis": axis_layout(info.y, "y"),
            "showlegend": False,
            "shapes": _coloured(fields),
        },
    )


def _coloured(fields: list[Field]) -> list[Layout]:
    """Returns each field as a rectangle, the lower its median the stronger."""
    logs = [_log(field.median) for field in fields]
    low, high = min(logs, default=0.0), max(logs, default=0.0)
    return [
        {
            "type": "rect",
            "x0": field.left,
            "x1": field.right,
            "y0": field.bottom,
            "y1": field.top,
            "layer": "below",
            "line": {"width": 0},
            "fillcolor": "@full",
            "opacity": 0.06 + 0.5 * ((high - log) / (high - low) if high > low else 0.5),
        }
        for field, log in zip(fields, logs, strict=True)
    ]


def _medians(info: PairInfo, fields: list[Field]) -> Trace:
    return {
        "mode": "text",
        "x": [_middle(info.x, field.left, field.right) for field in fields],
        "y": [_middle(info.y, field.bottom, field.top) for field in fields],
        "text": [fid_text(field.median) for field in fields],
        "textfont": {"size": 10},
        "hovertext": [f"median {fid_text(field.median)} of {field.trials} trials" for field in fields],
        "hoverinfo": "text",
    }


def _trials(info: PairInfo) -> list[Trace]:
    """Returns the points of a part of the trials, and that of the winner. Those of a choice are spread out."""
    rng = random.Random(0)
    some = rng.sample(info.points, min(MOST_POINTS, len(info.points)))
    winner = [point for point in info.points if point[2].is_best]
    spread_x, spread_y = (0.0 if axis.choices is None else 0.3 for axis in (info.x, info.y))
    return [
        {
            "mode": "markers",
            "x": [x + rng.uniform(-spread_x, spread_x) for x, _, _ in points],
            "y": [y + rng.uniform(-spread_y, spread_y) for _, y, _ in points],
            "text": [trial_text(trial) for _, _, trial in points],
            "hovertemplate": "%{text}<extra></extra>",
            "marker": marker,
        }
        for points, marker in (
            (some, {"color": "@ink", "size": 3, "opacity": 0.35}),
            (winner, {"color": "@best", "size": 13, "symbol": "star"}),
        )
    ]


def replay_chart(info: ReplayInfo, rung: CommonRung) -> Chart:
    """Returns the median FID of each loss with each frequency of replay."""
    medians: list[list[float | None]] = [[None] * len(info.every) for _ in info.losses]
    texts = [[""] * len(info.every) for _ in info.losses]
    for cell in info.cells:
        is_finite = math.isfinite(cell.median)
        medians[cell.loss][cell.every] = _log(cell.median) if is_finite else None
        word = fid_text(cell.median) if is_finite else "diverged"
        texts[cell.loss][cell.every] = f"{word}<br>{cell.trials} trial{'' if cell.trials == 1 else 's'}"
    known = [cell for cell in info.cells if math.isfinite(cell.median)]
    lowest = min(known, key=lambda cell: cell.median, default=None)
    alt = f"Median FID at {kimg_text(rung.kimg)} kimg for {len(info.losses)} losses and {len(info.every)} frequencies."
    if lowest is not None:
        where = f"{info.losses[lowest.loss]} with replay every {info.every[lowest.every]}"
        alt += f" The lowest is {fid_text(lowest.median)}: {where}."
    return Chart(
        name="replay",
        title="Loss and experience replay",
        caption="The median FID of each loss when every so many D steps look at replayed images (0: never); "
        "few trials in a field say little.",
        alt=alt,
        size="half",
        data=[
            {
                "type": "heatmap",
                "x": [plain(one) for one in info.every],
                "y": shown(info.losses, 16, 2),
                "z": medians,
                "text": texts,
                "texttemplate": "%{text}",
                "hovertext": [[plain(loss)] * len(info.every) for loss in info.losses],
                "hoverinfo": "text",
                "showscale": False,
                "colorscale": [[0, "@heat-low"], [1, "@heat-high"]],
                "xgap": 3,
                "ygap": 3,
            }
        ],
        layout={
            "xaxis": {"type": "category", "title": {"text": "replay every ... D steps"}, "showgrid": False},
            "yaxis": {"type": "category", "showgrid": False},
        },
    )


def _middle(axis: Axis, low: float, high: float) -> float:
    return math.sqrt(low * high) if axis.log else (low + high) / 2


def _log(fid: float) -> float:
    """Returns the logarithm of an FID; one of 0 or below, which an estimator without bias can give, counts as 0.001."""
    return math.log10(max(fid, 1e-3))
