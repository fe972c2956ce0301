"""Draws FID against kimg."""

from typing import Any

from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from gansearch.analysis.plot_info import Curve, CurvesInfo
from gansearch.analysis.plot_style import BEST, INK, LEGEND, MUTED, STATUS_STYLE, style_axes
from gansearch.run.protocol import Floor
from gansearch.text import fid_text, kimg_text, result_text

_RUNG: dict[str, Any] = {"color": MUTED, "linewidth": 0.8, "linestyle": (0, (4, 3)), "zorder": 1}
_FLOOR: dict[str, Any] = {"color": INK, "linewidth": 1.0, "linestyle": ":", "zorder": 1.5}
_HALO = [withStroke(linewidth=2.5, foreground="white")]


def draw_curves(info: CurvesInfo, axes: Any) -> None:
    """Draws `info` on a matplotlib Axes."""
    style_axes(axes, "training length (kimg)", info.log_fid)
    axes.set_ylabel("FID", color=INK)
    for rung in info.rungs:
        axes.axvline(rung, **_RUNG)
        axes.text(
            rung, 1.01, kimg_text(rung), color=MUTED, fontsize=9, ha="center", transform=axes.get_xaxis_transform()
        )
    if info.num_train is not None:
        _add_epochs(info.num_train, axes)
    axes.set_xlim(0, 1.02 * max([*info.rungs, *(curve.kimg[-1] for curve in info.curves)]))
    faint = 0.75 if len(info.curves) <= 30 else 0.4
    for curve in info.curves:
        if curve.trial_id == info.best:
            _draw_best(curve, axes)
        else:
            _draw_curve(curve, axes, faint)
    if info.floor is not None:
        _draw_floor(info, info.floor, axes)
    _leave_room_below(axes)
    trials = f"{len(info.curves)} trials" if len(info.curves) > 1 else "one trial"
    axes.set_title(f"{info.run}: FID of {trials}", color=INK, loc="left", fontweight="bold", pad=20)
    axes.figure.legend(handles=_curves_legend(info), **LEGEND)


def _add_epochs(num_train: int, axes: Any) -> None:
    """Draws an axis of epochs below that of kimg: above, the rungs have their labels."""
    in_epochs = (lambda kimg: kimg * 1000 / num_train, lambda epochs: epochs * num_train / 1000)
    below = axes.secondary_xaxis(-0.15, functions=in_epochs)
    below.set_xlabel(f"epochs of {num_train:,} training images", color=INK)
    below.spines["bottom"].set_color(MUTED)
    below.tick_params(color=MUTED, labelcolor=INK, labelsize=9)


def _draw_curve(curve: Curve, axes: Any, faint: float) -> None:
    colour = STATUS_STYLE[curve.status][0]
    axes.plot(curve.kimg, curve.fid, color=colour, linewidth=1.3, alpha=faint, zorder=2)
    size = 8 if curve.status in {"diverged", "failed"} else 5.5
    end = {"color": colour, "markersize": size, "markeredgecolor": "white", "markeredgewidth": 0.6, "zorder": 3}
    axes.plot(curve.kimg[-1], curve.fid[-1], _end_marker(curve.status), **end)


def _draw_best(curve: Curve, axes: Any) -> None:
    kimg, fid = _lowest(curve)
    axes.plot(curve.kimg, curve.fid, color=BEST, linewidth=2.4, zorder=4)
    axes.plot(kimg, fid, "*", color=BEST, markersize=14, markeredgecolor="white", zorder=5)
    text = f"trial {curve.trial_id}: {result_text(fid, kimg)}"
    # No curve lies beneath the lowest FID of all, so the label hides nothing there.
    place = {
        "ha": "left" if _is_early(kimg, axes) else "right",
        "va": "top",
        "textcoords": "offset points",
        "xytext": (6, -12),
    }
    axes.annotate(text, (kimg, fid), color=BEST, fontweight="bold", zorder=6, path_effects=_HALO, **place)


def _draw_floor(info: CurvesInfo, floor: Floor, axes: Any) -> None:
    """Draws the floor as a dotted line, or as an arrow at the end of the axis where the line would squash the curves.

    The label of the floor stands at the side that the best trial's label leaves free.
    """
    best = next((curve for curve in info.curves if curve.trial_id == info.best), None)
    x, side = (0.995, "right") if best and _is_early(_lowest(best)[0], axes) else (0.005, "left")
    place = {"color": INK, "fontsize": 9, "ha": side, "textcoords": "offset points", "path_effects": _HALO, "zorder": 6}
    text = f"floor {fid_text(floor.fid)}"
    if info.floor_fits:
        axes.axhline(floor.fid, **_FLOOR)
        place |= {"xycoords": axes.get_yaxis_transform(), "va": "bottom"}
        axes.annotate(text, (x, floor.fid), xytext=(0, 2), **place)
    elif floor.fid < axes.get_ylim()[0]:
        axes.annotate(f"↓ {text}", (x, 0), xytext=(0, 3), xycoords="axes fraction", va="bottom", **place)
    else:
        axes.annotate(f"↑ {text}", (x, 1), xytext=(0, -3), xycoords="axes fraction", va="top", **place)


def _lowest(curve: Curve) -> tuple[float, float]:
    """Returns (kimg, FID) of the lowest FID of a curve, the first of equal ones."""
    at = curve.fid.index(min(curve.fid))
    return curve.kimg[at], curve.fid[at]


def _is_early(kimg: float, axes: Any) -> bool:
    """Returns whether a label at `kimg` has more room to the right than to the left."""
    return kimg < axes.get_xlim()[1] / 2


def _leave_room_below(axes: Any) -> None:
    """Lowers the FID axis by an eighth, for the best trial's label."""
    low, high = axes.get_ylim()
    axes.set_ylim(low / (high / low) ** 0.125 if axes.get_yscale() == "log" else low - 0.125 * (high - low), high)


def _curves_legend(info: CurvesInfo) -> list[Line2D]:
    kinds = {curve.status for curve in info.curves if curve.trial_id != info.best}
    handles = [
        Line2D([], [], color=colour, marker=_end_marker(status), markersize=5.5, linewidth=1.4, label=word)
        for status, (colour, _, word) in STATUS_STYLE.items()
        if status in kinds
    ]
    if info.best:
        handles.append(Line2D([], [], color=BEST, marker="*", markersize=10, linewidth=2.4, label="best"))
    if info.rungs:
        handles.append(Line2D([], [], label="rung (kimg)", **_RUNG))
    if info.floor is not None:
        handles.append(Line2D([], [], label=f"floor: {info.floor.images} real {info.floor.split} images", **_FLOOR))
    return handles


def _end_marker(status: str) -> str:
    """Returns the marker at the end of a curve: that of a scatter, where a trial that was stopped needs no other."""
    return "s" if status == "stopped" else STATUS_STYLE[status][1]
