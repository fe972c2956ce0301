"""The style of the plots of a run: colours, markers, axes."""

from typing import Any

from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

INK, MUTED, GRID, BOX = "#24292f", "#6e7781", "#e4e8ec", "#eef2f6"
BEST, FULL, CUT, BROKEN = "#d1495b", "#30638e", "#9aa7b4", "#e0902f"

# Status -> colour, marker of a point in a scatter, word in the legend.
STATUS_STYLE = {
    "completed": (FULL, "o", "completed"),
    "stopped": (CUT, "o", "stopped early"),
    "running": (FULL, ">", "running"),
    "waiting": (CUT, "D", "waiting"),
    "diverged": (BROKEN, "X", "diverged"),
    "failed": (BROKEN, "X", "failed"),
}

LEGEND: dict[str, Any] = {"loc": "outside lower center", "ncols": 6, "frameon": False, "fontsize": 9}


def style_axes(axes: Any, xlabel: str, log_fid: bool) -> None:
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


def plain_ticks(axis: Any, subs: tuple[float, ...]) -> None:
    """Puts the ticks of a log axis at `subs` times each power of ten, and writes them as plain numbers."""
    axis.set_major_locator(LogLocator(subs=subs, numticks=8))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
