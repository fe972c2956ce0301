"""The style of the plots of a run: colours, markers, axes, titles.

Colours can be told apart by readers who see red and green alike, and each meaning has a marker or line of its own.
"""

import math
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from matplotlib import colormaps
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from matplotlib.textpath import text_to_path
from matplotlib.ticker import FuncFormatter, LogFormatter, LogitFormatter, LogLocator, NullLocator, ScalarFormatter
from matplotlib.transforms import blended_transform_factory

from gansearch.analysis.info.common_rung import CommonRung, TrialAtRung
from gansearch.text import kimg_text

INK, MUTED, GRID, BOX = "#24292f", "#6e7781", "#e4e8ec", "#dfe6ee"
BEST, FULL, CUT, BROKEN = "#d1495b", "#30638e", "#9aa7b4", "#e0902f"

# Okabe and Ito, https://jfly.uni-koeln.de/color/, without the yellow, which is faint on white.
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")

_HEADLINE, _FACT = FontProperties(size=12, weight="bold"), FontProperties(size=9.5)
_EDGE = 0.08  # inches between the edge of a figure and its texts

HALO = [withStroke(linewidth=2.5, foreground="white")]

# Status -> colour, marker of a point in a scatter, word in the legend.
STATUS_STYLE = {
    "completed": (FULL, "o", "completed"),
    "stopped": (CUT, "o", "stopped early"),
    "running": (FULL, ">", "running"),
    "waiting": (CUT, "D", "waiting"),
    "diverged": (BROKEN, "X", "diverged"),
    "infeasible": (BROKEN, "X", "too large for its GPU"),
    "failed": (BROKEN, "X", "failed"),
}

LEGEND: dict[str, Any] = {"loc": "outside lower center", "frameon": False, "fontsize": 9}


def style_axes(axes: Any, xlabel: str, log_fid: bool = False) -> None:
    """Sets the x label, the grid, the colours and the FID scale of a matplotlib Axes."""
    axes.set_xlabel(xlabel, color=INK)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)
    if log_fid:
        axes.set_yscale("log")
        plain_ticks(axes.yaxis, (1.0, 2.0, 5.0))
    axes.tick_params(which="both", color=MUTED, labelcolor=INK, labelsize=9)


def literal(figure: Figure) -> Figure:
    """Returns a figure that shows a `$` in its texts as it is: names and choices of a run are no formulas.

    Numbers along an axis may be: matplotlib writes powers of ten so.
    """
    for text in figure.findobj(Text):
        text.set_parse_math(False)
    for axis in figure.findobj(Axis):
        if isinstance(axis.get_major_formatter(), ScalarFormatter | LogFormatter | LogitFormatter):
            for part in axis.get_children():
                for text in part.findobj(Text) if part is not axis.label else ():
                    text.set_parse_math(True)
    return figure


def plain_ticks(axis: Any, subs: tuple[float, ...]) -> None:
    """Puts the ticks of a log axis at `subs` times each power of ten, and writes them as plain numbers."""
    axis.set_major_locator(LogLocator(subs=subs, numticks=8))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())  # drawing a figure takes a third longer with minor ticks


def characters(axes: Any, parts: int = 1, side: str = "x", size: float = 9) -> int:
    """Returns about how many characters, `size` points high, fit into each of some parts of a side of `axes`."""
    box, figure = axes.get_position(), axes.figure
    inches = box.width * figure.get_figwidth() if side == "x" else box.height * figure.get_figheight()
    return math.floor(72 * inches / (0.6 * size * parts)) - 1


def titled(axes: Any, run: str, question: str, *facts: str | None, pad: float = 8) -> None:
    """Writes over a figure the run and the question that it answers, and under them, over its first axes, the facts.

    All of it begins at the left edge of the figure, and is folded to fit into it. A fact that is None is left out.
    """
    figure = axes.figure
    lines = headline(figure, f"{run}: {question}")
    text = "\n".join(folded(fact, figure.get_figwidth() - 2 * _EDGE, _FACT) for fact in facts if fact)
    title = axes.set_title(text, loc="left", x=_EDGE / figure.get_figwidth(), color=INK, pad=pad, linespacing=1.3)
    title.set_font(_FACT)
    # The layout places a title by its height alone, so it may begin to the left of the axes.
    title.set_transform(blended_transform_factory(figure.transFigure, title.get_transform()))
    if figure.get_layout_engine() is None:
        above = 0.3 + 0.2 * (lines + (text.count("\n") + 1 if text else 0))
        figure.subplots_adjust(top=1 - above / figure.get_figheight())


def headline(figure: Figure, text: str) -> int:
    """Writes a text over a figure, folded to fit into it; returns the number of its lines."""
    lines = folded(text, figure.get_figwidth() - 2 * _EDGE, _HEADLINE)
    figure.suptitle(lines, color=INK, fontproperties=_HEADLINE, x=_EDGE / figure.get_figwidth(), ha="left")
    return lines.count("\n") + 1


def folded(text: str, width: float, font: FontProperties) -> str:
    """Folds a text to a width in inches: at spaces, or within a word that is longer."""

    def share(line: str) -> float:
        points = text_to_path.get_text_width_height_descent(line, font, ismath=False)[0]
        return 1.05 * points / (72 * width)  # as a picture has whole pixels, letters are a little wider there

    lines, most = [text], len(text)
    while most > 1 and (longest := max(map(share, lines), default=0.0)) > 1:
        most = min(most - 1, round(most / longest))
        lines = textwrap.wrap(text, most)
    return "\n".join(lines)


def stage_colours(rung: CommonRung) -> list[Any]:
    """Returns a colour for each number of rungs that a trial may have reached: the further, the darker."""
    steps = max(1, len(rung.rungs) - 1)
    return [CUT, *(colormaps["viridis_r"](0.14 + 0.8 * at / steps) for at in range(len(rung.rungs)))]


def stage_handles(rung: CommonRung) -> list[Line2D]:
    """Returns the handles of a legend of how far the trials at the common rung came, each with their number."""
    stages = [rung.stage(trial.reached) for trial in rung.measured]
    names = ["below the first rung", *(f"came to {kimg_text(kimg)} kimg" for kimg in rung.rungs)]
    colours = stage_colours(rung)
    return [point_handle(f"{names[at]} ({stages.count(at)})", colours[at]) for at in sorted(set(stages))]


def mark_handles(trials: Iterable[TrialAtRung]) -> list[Line2D]:
    """Returns the handles of a legend of the marks among some trials: the best, baselines, and those that diverged."""
    shown = list(trials)
    handles = []
    if any(trial.is_best for trial in shown):
        handles.append(point_handle("best trial", BEST, "*", 12))
    if any(trial.baseline for trial in shown):
        handles.append(point_handle("baseline (named)", "white", "D", 7, INK))
    if diverged := sum(trial.has_diverged_before for trial in shown):
        handles.append(point_handle(f"diverged, worse than all ({diverged})", BROKEN, "X", 8))
    return handles


def mark_diverged(xs: Sequence[float], axes: Any) -> None:
    """Marks at the top edge trials that diverged, which are worse than all that have a FID."""
    where = {"transform": axes.get_xaxis_transform(), "clip_on": False, "zorder": 4}
    axes.scatter(xs, [0.985] * len(xs), s=36, marker="X", c=BROKEN, linewidths=0.5, edgecolors="white", **where)


def point_handle(label: str, colour: Any, marker: str = "o", size: float = 7, edge: str = "white") -> Line2D:
    """Returns the handle of a marker in a legend."""
    return Line2D([], [], color=colour, marker=marker, linestyle="", markersize=size, label=label, markeredgecolor=edge)


def columns_of(handles: Sequence[Any], width: float) -> int:
    """Returns in how many columns the entries of a legend fit under a figure that is so many inches wide."""
    longest = max((len(str(handle.get_label())) for handle in handles), default=1)
    return max(1, min(len(handles), math.floor(width / (0.5 + 0.066 * longest))))


def legend_below(figure: Figure, handles: Sequence[Any]) -> None:
    """Puts a legend under a figure."""
    if handles:
        place = LEGEND | ({} if figure.get_layout_engine() else {"loc": "lower center"})
        figure.legend(handles=list(handles), ncols=columns_of(handles, figure.get_figwidth()), **place)


def label_ends(axes: Any, ends: Sequence[tuple[float, float, str, Any]], size: float = 9) -> None:
    """Writes texts (x, y, text, colour) to the right of points, moved up where one would lie on another."""
    placed: list[float] = []
    step = 1.25 * size * axes.figure.dpi / 72
    for x, y, text, colour in sorted(ends, key=lambda end: end[1]):
        at = axes.transData.transform((x, y))[1]
        free = max([at, *(other + step for other in placed if other + step > at)])
        placed.append(free)
        axes.annotate(
            text,
            (x, y),
            xytext=(7, (free - at) * 72 / axes.figure.dpi),
            textcoords="offset points",
            va="center",
            color=colour,
            fontsize=size,
            path_effects=HALO,
            zorder=6,
        )
