"""Charts of the FID at the common rung: against each parameter, and which parameters matter."""

import math
import random
from collections.abc import Iterator

from gansearch.analysis.info.common_rung import CommonRung, TrialAtRung
from gansearch.analysis.info.importance import ImportanceInfo
from gansearch.analysis.info.pair import PairInfo
from gansearch.analysis.info.parameters import Axis, ParamInfo, Point
from gansearch.analysis.info.replay import ReplayInfo
from gansearch.analysis.report.chart import Chart, Layout, Trace, fid_axis, number_axis, plain
from gansearch.analysis.text import value_text
from gansearch.text import fid_text, kimg_text

_MOST_POINTS = 300
_JITTER = 0.22


def importance_chart(info: ImportanceInfo) -> Chart:
    """Returns the importance of the parameters, with what chance alone would give."""
    rows = info.parameters[::-1]
    paths = [plain(row.path) for row in rows]
    bars: Trace = {
        "type": "bar",
        "orientation": "h",
        "y": paths,
        "x": [row.share for row in rows],
        "marker": {"color": ["@full" if row.share > info.chance else "@cut" for row in rows]},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [row.interval[1] - row.share for row in rows],
            "arrayminus": [row.share - row.interval[0] for row in rows],
            "color": "@ink",
            "thickness": 1,
        },
        "text": [f"{row.path}: {row.share:.0%}, of {row.trials} trials" for row in rows],
        "textposition": "none",
        "hovertemplate": "%{text}<extra></extra>",
        "name": "importance, with its 95 % interval",
    }
    clear = [f"{row.path} ({row.share:.0%})" for row in info.parameters if row.share > info.chance]
    what = f"More than chance: {', '.join(clear)}." if clear else "None is more than chance."
    return Chart(
        name="importance",
        title="Which parameters matter",
        caption=(
            f"The share of the differences between the FIDs of {info.trials} trials that a parameter explains alone; "
            "a bar that does not pass the dotted line may be chance."
        ),
        alt=f"Importance of {len(rows)} parameters. {what}",
        size="full",
        data=[bars],
        layout={
            "shapes": [_vertical(info.chance)],
            "xaxis": {"tickformat": ".0%", "rangemode": "tozero", "title": {"text": "share explained"}},
            "yaxis": {"type": "category", "dtick": 1},
        },
    )


def _vertical(x: float) -> Layout:
    line = {"color": "@broken", "width": 2, "dash": "dot"}
    return {"type": "line", "xref": "x", "yref": "paper", "x0": x, "x1": x, "y0": 0, "y1": 1, "line": line}


def parameter_chart(info: ParamInfo, rung: CommonRung, number: int) -> Chart:
    """Returns the FID at the common rung against one parameter; `number` makes the chart's name."""
    axis, finite = info.axis, [point.trial.fid for point in info.points if math.isfinite(point.trial.fid)]
    top = max(finite) * 1.25 if info.log_fid else max(finite) + 0.08 * (max(finite) - min(finite) or 1)
    title = axis.path + (f" (where {axis.only_where})" if axis.only_where else "")
    layout: Layout = {
        "xaxis": axis_layout(axis) | {"title": {"text": ""}} | _whole_numbers(info),
        "yaxis": fid_axis([*finite, top], info.log_fid),
        "showlegend": False,
        "margin": {"t": 8},
    }
    return Chart(
        name=f"parameter-{number}",
        title=title,
        caption=_caption(info),
        alt=f"FID at {kimg_text(rung.kimg)} kimg against {axis.path}, {len(info.points)} trials. {_summary(info)}",
        size="third",
        data=[*_boxes(info), *_trend(info), *_points(info, top)],
        layout=layout,
    )


def axis_layout(axis: Axis) -> Layout:
    """Returns the axis of a parameter; a choice is a whole number there."""
    if axis.choices is None:
        return number_axis(axis.path, *axis.limits, axis.log)
    last = len(axis.choices) - 1
    return {
        "title": {"text": plain(axis.path)},
        "tickvals": list(range(last + 1)),
        "ticktext": [plain(choice) for choice in axis.choices],
        "range": [-0.6, last + 0.6],
        "showgrid": False,
    }


def _whole_numbers(info: ParamInfo) -> Layout:
    """Returns the ticks and the range of an axis with a column for each of some numbers."""
    if info.axis.choices is not None or not info.columns:
        return {}
    values, room = [column.x for column in info.columns], 0.6 * _spacing(info)
    return {"tickvals": values, "range": [values[0] - room, values[-1] + room]}


def _spacing(info: ParamInfo) -> float:
    """Returns the distance between two columns."""
    return info.columns[1].x - info.columns[0].x if len(info.columns) > 1 else 1.0


def _caption(info: ParamInfo) -> str:
    if info.trend is not None:
        return "The line is the median of neighbouring trials, the band its 95 % interval."
    return "A box is half of the trials." if any(column.box for column in info.columns) else "A point is a trial."


def _label(info: ParamInfo, x: float) -> str:
    """Returns a value of the parameter as a text."""
    return value_text(x) if info.axis.choices is None else info.axis.choices[int(x)]


def _summary(info: ParamInfo) -> str:
    """Returns the medians of the columns, or where along a range the median is lowest."""
    boxes = {_label(info, column.x): column.box for column in info.columns if column.box}
    medians = [f"{name} {fid_text(box.quartiles[1])}" for name, box in boxes.items() if math.isfinite(box.quartiles[1])]
    if medians:
        return f"Medians: {', '.join(medians)}."
    if info.trend is None:
        return ""
    fid, x = min(zip(info.trend.median, info.trend.x, strict=True))
    return f"The median is lowest, {fid_text(fid)}, near {value_text(float(x))}." if math.isfinite(fid) else ""


def _boxes(info: ParamInfo) -> Iterator[Trace]:
    for column in info.columns:
        if column.box is not None and math.isfinite(column.box.quartiles[2]):
            first, median, third = column.box.quartiles
            yield {
                "type": "box",
                "x": [column.x],
                "q1": [first],
                "median": [median],
                "q3": [third],
                "lowerfence": [first],
                "upperfence": [third],
                "width": 0.7 * _spacing(info),
                "line": {"color": "@full", "width": 1.5},
                "fillcolor": "@band",
                "hoverinfo": "skip",
            }


def _trend(info: ParamInfo) -> Iterator[Trace]:
    if info.trend is None:
        return
    rows = [row for row in zip(*info.trend, strict=True) if all(map(math.isfinite, row))]
    x = [row[0] for row in rows]
    edge: Trace = {"x": x, "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
    yield edge | {"y": [row[2] for row in rows]}
    yield edge | {"y": [row[3] for row in rows], "fill": "tonexty", "fillcolor": "@band-inner"}
    median = {"x": x, "y": [row[1] for row in rows], "mode": "lines", "line": {"color": "@full", "width": 2}}
    yield median | {"hovertemplate": "median %{y:.4g}<extra></extra>"}


def _points(info: ParamInfo, top: float) -> Iterator[Trace]:
    """Yields the points of a part of the trials, the winner last; one that diverged lies at `top`."""
    rng = random.Random(0)
    points = info.points
    if len(points) > _MOST_POINTS:
        points = [point for point in points if point.trial.is_best] + rng.sample(points, _MOST_POINTS)
    kinds = {"@cut": ("circle", 5), "@broken": ("x", 6), "@best": ("star", 13)}
    groups: dict[str, list[Point]] = {colour: [] for colour in kinds}
    for point in points:
        trial = point.trial
        colour = "@best" if trial.is_best else "@broken" if trial.has_diverged_before else "@cut"
        groups[colour].append(point)
    for colour, (symbol, size) in kinds.items():
        found = groups[colour]
        spread = _JITTER * _spacing(info) if info.columns else 0.0
        yield {
            "mode": "markers",
            "x": [point.x + (0 if colour == "@best" else rng.uniform(-spread, spread)) for point in found],
            "y": [point.trial.fid if math.isfinite(point.trial.fid) else top for point in found],
            "text": [_text(point, info) for point in found],
            "hovertemplate": "%{text}<extra></extra>",
            "marker": {"color": colour, "symbol": symbol, "size": size, "opacity": 1 if colour == "@best" else 0.6},
        }


def _text(point: Point, info: ParamInfo) -> str:
    return f"{plain(_label(info, point.x))}<br>{_trial_text(point.trial)}"


def _trial_text(trial: TrialAtRung) -> str:
    fid = "diverged" if trial.has_diverged_before else f"FID {fid_text(trial.fid)}"
    return f"trial {trial.trial_id}<br>{fid}"


def map_chart(info: PairInfo, rung: CommonRung) -> Chart:
    """Returns the FID at the common rung over two parameters: rectangles with their medians, and the trials."""
    finite = [field for field in info.fields if math.isfinite(field.median)]
    data: list[Trace] = []
    layout: Layout = {
        "xaxis": axis_layout(info.x),
        "yaxis": axis_layout(info.y),
        "showlegend": False,
    }
    if finite:
        medians = [math.log10(field.median) if field.median > 0 else 0.0 for field in finite]
        low, high = min(medians), max(medians)
        layout["shapes"] = [
            {
                "type": "rect",
                "x0": field.left,
                "x1": field.right,
                "y0": field.bottom,
                "y1": field.top,
                "layer": "below",
                "line": {"width": 0},
                "fillcolor": "@full",
                "opacity": 0.08 + 0.62 * ((high - median) / (high - low) if high > low else 0.5),
            }
            for field, median in zip(finite, medians, strict=True)
        ]
        data.append(
            {
                "mode": "text",
                "x": [_middle(info.x, field.left, field.right) for field in finite],
                "y": [_middle(info.y, field.bottom, field.top) for field in finite],
                "text": [f"{field.median:.3g}" for field in finite],
                "textfont": {"size": 10},
                "hovertext": [f"median {fid_text(field.median)} of {field.trials} trials" for field in finite],
                "hoverinfo": "text",
            }
        )
    rng = random.Random(0)
    winner = [point for point in info.points if point[2].is_best]
    some = rng.sample(info.points, min(_MOST_POINTS, len(info.points)))
    spread = [0.0 if axis.choices is None else 0.3 for axis in (info.x, info.y)]
    for points, marker in (
        (some, {"color": "@ink", "size": 3, "opacity": 0.45}),
        (winner, {"color": "@best", "size": 13, "symbol": "star"}),
    ):
        data.append(
            {
                "mode": "markers",
                "x": [x + rng.uniform(-spread[0], spread[0]) for x, _, _ in points],
                "y": [y + rng.uniform(-spread[1], spread[1]) for _, y, _ in points],
                "text": [_trial_text(trial) for _, _, trial in points],
                "hovertemplate": "%{text}<extra></extra>",
                "marker": marker,
            }
        )
    best = min(finite, key=lambda field: field.median, default=None)
    alt = f"Map of the FID at {kimg_text(rung.kimg)} kimg over {info.x.path} and {info.y.path}."
    if best is not None:
        alt += f" The lowest median is {fid_text(best.median)}, of {best.trials} trials."
    return Chart(
        name="map",
        title=f"{info.x.path} and {info.y.path} together",
        caption="The two parameters that matter most; a number is the median FID of the trials in its field, and the "
        "darker a field, the lower it is.",
        alt=alt,
        size="half",
        data=data,
        layout=layout,
    )


def replay_chart(info: ReplayInfo, rung: CommonRung) -> Chart:
    """Returns the median FID of each loss with each frequency of replay."""
    medians: list[list[float | None]] = [[None] * len(info.every) for _ in info.losses]
    texts = [[""] * len(info.every) for _ in info.losses]
    for cell in info.cells:
        is_finite = math.isfinite(cell.median)
        medians[cell.loss][cell.every] = math.log10(cell.median) if is_finite and cell.median > 0 else None
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
                "y": [plain(one) for one in info.losses],
                "z": medians,
                "text": texts,
                "texttemplate": "%{text}",
                "hoverinfo": "skip",
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
