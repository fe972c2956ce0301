"""Draws the losses of trials against kimg."""

from collections.abc import Sequence
from typing import Any

from gansearch.analysis.draw.style import INK, SERIES, style_axes
from gansearch.analysis.info.losses import LossCurves

TITLES = ("D on real images", "D on generated images", "G")
_DASHES: tuple[Any, ...] = ("-", (0, (6, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)), (0, (3, 1.5)))


def draw_losses(curves: Sequence[LossCurves], panels: Sequence[Any]) -> None:
    """Draws the losses of some trials on three matplotlib Axes."""
    for panel, title in zip(panels, TITLES, strict=True):
        style_axes(panel, "training length (kimg)")
        panel.text(0.5, 1.02, title, transform=panel.transAxes, ha="center", color=INK, fontsize=10)
    for at, curve in enumerate(curves):
        style = series_style(at)
        if len(curve.kimg) == 1:
            style |= {"marker": "o", "markersize": 4}
        for panel, values in zip(panels, (curve.d_real, curve.d_fake, curve.g), strict=True):
            panel.plot(curve.kimg, values, zorder=3, **style)
    panels[0].set_ylabel("loss", color=INK)


def series_style(at: int) -> dict[str, Any]:
    """Returns colour and dashes of the trial number `at` in a picture."""
    return {"color": SERIES[at % len(SERIES)], "linestyle": _DASHES[at % len(_DASHES)], "linewidth": 1.7}
