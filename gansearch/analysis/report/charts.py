"""The charts of a report, as plotly figures in plain data. A colour "@name" is the page's custom property --name."""

from typing import Any, Literal, NamedTuple

Trace = dict[str, Any]
Layout = dict[str, Any]

_AXIS: Layout = {
    "gridcolor": "@grid",
    "linecolor": "@line",
    "zerolinecolor": "@line",
    "tickcolor": "@line",
    "automargin": True,
    "title": {"standoff": 8},
}
TEMPLATE: dict[str, Any] = {
    "layout": {
        "font": {
            "family": "system-ui, -apple-system, Segoe UI, Roboto, Arial, sans-serif",
            "size": 12,
            "color": "@ink",
        },
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 50, "r": 12, "t": 26, "b": 40},
        "hoverlabel": {"bgcolor": "@surface", "bordercolor": "@line", "font": {"color": "@ink"}},
        "legend": {"orientation": "h", "y": -0.18, "x": 0, "yanchor": "top", "font": {"size": 12}},
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "@muted", "activecolor": "@accent"},
        "xaxis": _AXIS,
        "yaxis": _AXIS,
        "hovermode": "closest",
    }
}


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
