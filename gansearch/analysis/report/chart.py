"""What all charts of a report share: plotly figures in plain data, so that no figure is validated twice.

A colour "@name" is the page's custom property --name, which differs in dark mode. Texts of a run go through `plain`:
plotly understands some HTML.
"""

import html
import math
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

from gansearch.analysis.labels import fit_labels
from gansearch.text import fid_text, kimg_text, rough_text

Trace = dict[str, Any]
Layout = dict[str, Any]

_AXIS: Layout = {
    "gridcolor": "@grid",
    "linecolor": "@line",
    "zeroline": False,
    "tickcolor": "@line",
    "automargin": True,
    "title": {"standoff": 8},
}
TEMPLATE: dict[str, Any] = {
    "layout": {
        "font": {"family": "system-ui, Segoe UI, Roboto, Arial, sans-serif", "size": 12, "color": "@ink"},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 50, "r": 12, "t": 26, "b": 40},
        "hoverlabel": {"bgcolor": "@surface", "bordercolor": "@line", "font": {"color": "@ink"}},
        "legend": {"orientation": "h", "y": -0.2, "x": 0, "yanchor": "top"},
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "@muted", "activecolor": "@accent"},
        "xaxis": _AXIS,
        "yaxis": _AXIS,
        "hovermode": "closest",
    }
}
_MOST_TICKS = 7


class Chart(NamedTuple):
    """A plotly figure and its words.

    Args:
        name: A name that no other chart of the page has.
        title: What the chart shows.
        caption: What to look at, in a sentence.
        alt: The main numbers, for somebody who can't see the chart.
        size: The width in the page.
        data: The traces.
        layout: The layout.
    """

    name: str
    title: str
    caption: str
    alt: str
    size: Literal["full", "half", "third"]
    data: list[Trace]
    layout: Layout


def plain(text: str) -> str:
    """Returns a text of the run as plotly shows it letter by letter."""
    return html.escape(text, quote=False)


def shown(texts: Sequence[str], width: int, lines: int = 1) -> list[str]:
    """Returns texts of the run for an axis, each in at most so many lines of `width` characters."""
    return [plain(text).replace("\n", "<br>") for text in fit_labels(texts, width, lines)]


def fid_axis(fids: Iterable[float], log: bool, title: str = "FID") -> Layout:
    """Returns the axis of an FID; a logarithmic one has ticks at 1, 2 and 5 times the powers of ten."""
    axis: Layout = {"title": {"text": title}}
    values = [fid for fid in fids if math.isfinite(fid)]
    if log and values:
        axis |= {"type": "log"} | _log_ticks(min(values), max(values))
    return axis


def number_axis(title: str, low: float, high: float, log: bool) -> Layout:
    """Returns the axis of a number between `low` and `high`, with some room at both ends; `title` is of `shown`."""
    axis: Layout = {"title": {"text": title}}
    if not log:
        room = 0.04 * (high - low) or 0.5
        return axis | {"range": [low - room, high + room]}
    ends = [math.log10(low), math.log10(high)]
    room = 0.04 * (ends[1] - ends[0]) or 0.5
    return axis | {"type": "log", "range": [ends[0] - room, ends[1] + room]} | _log_ticks(low, high)


def _log_ticks(low: float, high: float) -> Layout:
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    digits = (1, 2, 5) if high / low < 500 else (1,)
    values = [digit * 10.0**power for power in powers for digit in digits]
    return {"tickvals": values, "ticktext": [f"{value:g}" for value in values]}


def epoch_axis(num_train: int, max_kimg: float) -> tuple[Trace, Layout]:
    """Returns a trace without points and a second axis above: a length in kimg, labelled in epochs.

    Plotly shows an axis only where a trace lies on it.
    """
    last = 1000 * max_kimg / num_train
    step = _nice_step(last)
    epochs = [step * number for number in range(int(last / step) + 1)]
    axis: Layout = {
        "overlaying": "x",
        "matches": "x",
        "side": "top",
        "showgrid": False,
        "tickvals": [epoch * num_train / 1000 for epoch in epochs],
        "ticktext": [f"{epoch:g}" for epoch in epochs],
        "title": {"text": f"epochs of {num_train:,} images"},
    }
    return {"x": [0, max_kimg], "y": [None, None], "xaxis": "x2", "hoverinfo": "skip", "showlegend": False}, axis


def _nice_step(last: float) -> float:
    """Returns 1, 2 or 5 times a power of ten, so that there are at most seven steps."""
    power = 10.0 ** math.floor(math.log10(last / _MOST_TICKS))
    return next(digit * power for digit in (1, 2, 5, 10) if digit * power * _MOST_TICKS >= last)


def rung_lines(rungs: Sequence[float]) -> Layout:
    """Returns vertical lines at the rungs."""
    return {
        "shapes": [
            {
                "type": "line",
                "xref": "x",
                "yref": "paper",
                "x0": rung,
                "x1": rung,
                "y0": 0,
                "y1": 1,
                "layer": "below",
                "line": {"color": "@muted", "width": 1, "dash": "dot"},
            }
            for rung in rungs
        ]
    }


def floor_line(fid: float) -> tuple[Layout, Layout]:
    """Returns a horizontal line at the floor, and its label."""
    line = {"type": "line", "xref": "paper", "yref": "y", "x0": 0, "x1": 1, "y0": fid, "y1": fid}
    label = {"xref": "paper", "yref": "y", "x": 0, "y": fid, "xanchor": "left", "yanchor": "bottom", "showarrow": False}
    return (
        line | {"line": {"color": "@ink", "width": 1, "dash": "dash"}},
        label | {"text": f"floor {fid_text(fid)}", "font": {"size": 11}},
    )


def point_text(trial_id: str, fid: float, kimg: float, epochs: float | None) -> str:
    """Returns what a point of a curve says."""
    length = f"{kimg_text(kimg)} kimg" + ("" if epochs is None else f" ({rough_text(epochs)} epochs)")
    return f"trial {trial_id}<br>FID {fid_text(fid)}<br>{length}"
