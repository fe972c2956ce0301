"""Charts of the FID at the common rung: against each parameter, and which parameters matter."""

import math
import random
from collections.abc import Iterator, Sequence
from typing import Any

from gansearch.analysis.info.common_rung import CommonRung, TrialAtRung
from gansearch.analysis.info.importance import ImportanceInfo
from gansearch.analysis.info.parameters import Axis, ParamInfo, Point
from gansearch.analysis.report.chart import Chart, Layout, Trace, fid_axis, number_axis, plain, shown
from gansearch.analysis.text import value_text
from gansearch.text import fid_text, kimg_text

MOST_POINTS = 300
_JITTER = 0.22
_ROOM = 44  # characters beside each other in the narrowest chart
# Colour -> marker of a point and its size.
_KINDS = {"@cut": ("circle", 5), "@broken": ("x", 6), "@ink": ("diamond-open", 8), "@best": ("star", 13)}
_MARKED = {"@ink", "@best"}


def importance_chart(info: ImportanceInfo) -> Chart:
    """Returns the importance of the parameters, with what chance alone would give."""
    rows = info.parameters[::-1]
    paths = shown([row.path for row in rows], 28)
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
    verdict = f"{info.verdict[0].upper()}{info.verdict[1:]}."
    return Chart(
        name="importance",
        title="Which parameters matter",
        caption=(
            f"The share of the differences between the FIDs of {info.trials} trials that a parameter explains alone; "
            f"a bar that does not pass the dotted line may be chance. {verdict}"
        ),
        alt=f"Importance of {len(rows)} parameters. {verdict}",
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
        "xaxis": axis_layout(axis) | {"title": {"text": ""}} | _columns(info),
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
        data=[*_boxes(info, top), *_trend(info, top), *_points(info, rung, top)],
        layout=layout,
    )


def axis_layout(axis: Axis, side: str = "x") -> Layout:
    """Returns the axis of a parameter; a choice is a whole number there."""
    (title,) = shown([axis.path], 36, 2)
    if axis.choices is None:
        low, high = axis.limits
        whole = {"tick0": low, "dtick": math.ceil((high - low) / 8)} if axis.is_whole and not axis.log else {}
        return number_axis(title, low, high, axis.log) | whole
    last = len(axis.choices) - 1
    return {
        "title": {"text": title},
        "tickvals": list(range(last + 1)),
        "ticktext": shown(axis.choices, *((_ROOM // (last + 1), 3) if side == "x" else (16, 2))),
        "range": [-0.6, last + 0.6],
        "showgrid": False,
    }


def _columns(info: ParamInfo) -> Layout:
    """Returns the ticks and the range of an axis with a column for each choice or whole number."""
    if not info.columns:
        return {}
    values, room = [column.x for column in info.columns], 0.6 * _spacing(info)
    names = shown([_label(info, x) for x in values], _ROOM // len(values), 3)
    texts = [f"{name}<br>n={column.trials}" for name, column in zip(names, info.columns, strict=True)]
    ends = [values[0] - room, values[-1] + room]
    return {"tickvals": values, "ticktext": texts, "tickfont": {"size": 10}, "range": ends}


def _spacing(info: ParamInfo) -> float:
    """Returns the distance between two columns."""
    return info.columns[1].x - info.columns[0].x if len(info.columns) > 1 else 1.0


def _caption(info: ParamInfo) -> str:
    if info.trend is not None:
        return "The line is the median of neighbouring trials, the band its 95 % interval."
    return "A box is half of the trials." if any(column.box for column in info.columns) else ""


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


def _boxes(info: ParamInfo, top: float) -> Iterator[Trace]:
    """Yields the quartiles of each column; one among trials that diverged lies at `top`, as their points do."""
    for column in info.columns:
        if column.box is not None:
            first, median, third = (min(value, top) for value in column.box.quartiles)
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


def _trend(info: ParamInfo, top: float) -> Iterator[Trace]:
    """Yields the median with its interval, cut at `top` where so many trials diverged that it is infinite."""
    if info.trend is None:
        return
    x, *columns = info.trend
    median, low, high = ([min(value, top) for value in column] for column in columns)
    edge: Trace = {"x": x, "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
    yield edge | {"y": low}
    yield edge | {"y": high, "fill": "tonexty", "fillcolor": "@band-inner"}
    line = {"x": x, "y": median, "mode": "lines", "line": {"color": "@full", "width": 2}}
    texts = [f"median {fid_text(fid)}" if math.isfinite(fid) else "half of them diverged" for fid in info.trend.median]
    yield line | {"text": texts, "hovertemplate": "%{text}<extra></extra>"}


def _points(info: ParamInfo, rung: CommonRung, top: float) -> Iterator[Trace]:
    """Yields the points of a part of the trials, coloured by how far they came; one that diverged lies at `top`.

    The winner, which comes last, and the baselines, with their names, are always among them.
    """
    rng = random.Random(0)
    groups: dict[str, list[Point]] = {colour: [] for colour in _KINDS}
    for point in info.points:
        groups[_colour(point.trial)].append(point)
    for colour, (symbol, size) in _KINDS.items():
        found, is_marked = groups[colour], colour in _MARKED
        if not is_marked:
            found = rng.sample(found, min(len(found), MOST_POINTS))
        spread = _JITTER * _spacing(info) if info.columns and not is_marked else 0.0
        yield {
            "mode": "markers+text" if colour == "@ink" else "markers",
            "x": [point.x + rng.uniform(-spread, spread) for point in found],
            "y": [point.trial.fid if math.isfinite(point.trial.fid) else top for point in found],
            "text": [plain(point.trial.baseline or "") for point in found],
            "textposition": [_beside(point, info, at) for at, point in enumerate(found)],
            "cliponaxis": False,
            "customdata": [_text(point, info) for point in found],
            "hovertemplate": "%{customdata}<extra></extra>",
            "marker": {"color": colour, "symbol": symbol, "size": size, "opacity": 1 if is_marked else 0.75}
            | (_stages(found, rung) if colour == "@cut" else {}),
        }


def _stages(points: Sequence[Point], rung: CommonRung) -> dict[str, Any]:
    """Returns the colours of points, from grey to blue: how many of all rungs their trials reached."""
    scale = [[0, "@cut"], [1, "@full"]]
    return {
        "color": [rung.stage(point.trial.reached) for point in points],
        "colorscale": scale,
        "cmin": 1,
        "cmax": max(2, len(rung.rungs)),
    }


def _beside(point: Point, info: ParamInfo, number: int) -> str:
    """Returns where the text of a point stands: where there is room, and texts at one place one above the other."""
    return f"{'bottom' if number % 2 else 'top'} {'left' if info.axis.is_right(point.x) else 'right'}"


def _colour(trial: TrialAtRung) -> str:
    if trial.is_best:
        return "@best"
    return "@broken" if trial.has_diverged_before else "@ink" if trial.baseline else "@cut"


def _text(point: Point, info: ParamInfo) -> str:
    return f"{plain(_label(info, point.x))}<br>{trial_text(point.trial)}"


def trial_text(trial: TrialAtRung) -> str:
    """Returns what a point of a trial says."""
    fid = "diverged" if trial.has_diverged_before else f"FID {fid_text(trial.fid)}"
    return f"trial {trial.trial_id}<br>{fid}<br>came to {kimg_text(trial.reached)} kimg"
