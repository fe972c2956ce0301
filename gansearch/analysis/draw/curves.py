"""Draws FID against kimg."""

from typing import Any

from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from gansearch.analysis.draw.style import (
    BEST,
    BROKEN,
    FULL,
    HALO,
    INK,
    MUTED,
    STATUS_STYLE,
    label_ends,
    legend_below,
    mark_diverged,
    plain_ticks,
    point_handle,
    style_axes,
    titled,
)
from gansearch.analysis.info.curves import Band, Curve, CurvesInfo
from gansearch.run.protocol import Floor
from gansearch.text import fid_text, kimg_text, result_text

_RUNG: dict[str, Any] = {"color": MUTED, "linewidth": 0.8, "linestyle": (0, (4, 3)), "zorder": 1}
_FLOOR: dict[str, Any] = {"color": INK, "linewidth": 1.0, "linestyle": ":", "zorder": 1.5}
_END: dict[str, Any] = {"marker": "o", "markersize": 4, "markevery": [-1]}  # shows one evaluation alone, too
_BASELINE: dict[str, Any] = {"color": INK, "linewidth": 1.5, "linestyle": (0, (6, 2, 1, 2)), "zorder": 3.5, **_END}
_LEADER: dict[str, Any] = {"color": "#5d4b8c", "linewidth": 1.0, "alpha": 0.75, "zorder": 3, **_END}
_OUTER, _INNER = "#d6e2ef", "#a9c3de"


def draw_curves(info: CurvesInfo, axes: Any) -> None:
    """Draws `info` on a matplotlib Axes."""
    style_axes(axes, "training length (kimg)", info.log_fid)
    axes.set_ylabel("FID", color=INK)
    _length_axis(info, axes)
    if info.num_train is not None:
        _add_epochs(info.num_train, axes)
    for band in info.bands:
        _draw_band(band, axes)
    for curve in info.shown:
        if curve.trial_id == info.best:
            _draw_best(curve, info.winner or curve.trial_id, axes)
        elif curve.baseline:
            axes.plot(curve.kimg, curve.fid, **_BASELINE)
        elif info.bands:
            axes.plot(curve.kimg, curve.fid, **_LEADER)
        else:
            _draw_curve(curve, axes, 0.75 if len(info.curves) <= 30 else 0.45)
    if info.floor is not None:
        _draw_floor(info, info.floor, axes)
    _leave_room_below(axes)
    if info.diverged:
        left = axes.get_xlim()[0] * 1.04
        mark_diverged([max(kimg, left) for kimg in info.diverged], axes)
    _count_trials(info, axes)
    label_ends(axes, [(c.kimg[-1], c.fid[-1], c.baseline, INK) for c in info.shown if c.baseline])
    trials = f"{len(info.curves)} trials" if len(info.curves) > 1 else "one trial"
    titled(axes, info.run, f"how does the FID of {trials} fall?", *_facts(info), pad=20)
    legend_below(axes.figure, _handles(info))


def _facts(info: CurvesInfo) -> list[str | None]:
    return [info.state, "each band: the trials that trained on to the next rung" if info.bands else None]


def _length_axis(info: CurvesInfo, axes: Any) -> None:
    """Shows all of the length and names the rungs. With bands the axis is logarithmic, so that each band has room."""
    last = max([*info.rungs, *(curve.kimg[-1] for curve in info.curves)])
    first = min(curve.kimg[0] for curve in info.curves)
    if info.bands:
        axes.set_xscale("log")
        axes.set_xlim(first / 1.4, last * 1.06)
        plain_ticks(axes.xaxis, (1.0, 2.0, 5.0))
    else:
        axes.set_xlim(0, 1.02 * last)
    for rung in info.rungs:
        axes.axvline(rung, **_RUNG)
        place = {"ha": "center", "transform": axes.get_xaxis_transform()}
        axes.text(rung, 1.01, kimg_text(rung), color=MUTED, fontsize=9, **place)


def _add_epochs(num_train: int, axes: Any) -> None:
    """Draws an axis of epochs below that of kimg: above, the rungs have their labels."""
    in_epochs = (lambda kimg: kimg * 1000 / num_train, lambda epochs: epochs * num_train / 1000)
    below = axes.secondary_xaxis(-0.15, functions=in_epochs)
    below.set_xlabel(f"epochs of {num_train:,} training images", color=INK)
    below.spines["bottom"].set_color(MUTED)
    below.tick_params(color=MUTED, labelcolor=INK, labelsize=9)
    if axes.get_xscale() == "log":
        plain_ticks(below.xaxis, (1.0, 2.0, 5.0))


def _draw_band(band: Band, axes: Any) -> None:
    """Draws a band. One evaluation alone, as before the first rung, is drawn as a bar."""
    outer_low, inner_low, median, inner_high, outer_high = zip(*band.fids, strict=True)
    if len(band.kimg) > 1:
        axes.fill_between(band.kimg, outer_low, outer_high, color=_OUTER, linewidth=0, zorder=1.2)
        axes.fill_between(band.kimg, inner_low, inner_high, color=_INNER, linewidth=0, zorder=1.3)
        axes.plot(band.kimg, median, color=FULL, linewidth=1.8, zorder=1.4)
        return
    left = 0.95 * band.kimg[0]  # beside the band that begins there
    for low, high, colour in ((outer_low, outer_high, _OUTER), (inner_low, inner_high, _INNER)):
        axes.plot([left, left], [low[0], high[0]], color=colour, linewidth=9, solid_capstyle="butt", zorder=1.3)
    axes.plot(left, median, "_", color=FULL, markersize=11, markeredgewidth=1.8, zorder=1.4)


def _count_trials(info: CurvesInfo, axes: Any) -> None:
    """Writes at the top of each band how many trials it has."""
    for band in info.bands:
        middle = (band.kimg[0] * band.kimg[-1]) ** 0.5 if len(band.kimg) > 1 else 0.97 * band.kimg[0]
        place = {
            "ha": "center" if len(band.kimg) > 1 else "right",
            "va": "top",
            "transform": axes.get_xaxis_transform(),
            "zorder": 6,
        }
        axes.text(middle, 0.985, f"n={band.trials}", color=FULL, fontsize=9, path_effects=HALO, **place)


def _draw_curve(curve: Curve, axes: Any, faint: float) -> None:
    colour = STATUS_STYLE[curve.status][0]
    axes.plot(curve.kimg, curve.fid, color=colour, linewidth=1.3, alpha=faint, zorder=2)
    size = 8 if curve.status in {"diverged", "infeasible", "failed"} else 5.5
    end = {"color": colour, "markersize": size, "markeredgecolor": "white", "markeredgewidth": 0.6, "zorder": 3}
    axes.plot(curve.kimg[-1], curve.fid[-1], _end_marker(curve.status), **end)


def _draw_best(curve: Curve, winner: str, axes: Any) -> None:
    kimg, fid = curve.lowest
    axes.plot(curve.kimg, curve.fid, color=BEST, linewidth=2.4, zorder=4)
    axes.plot(kimg, fid, "*", color=BEST, markersize=14, markeredgecolor="white", zorder=5)
    text = f"trial {winner}: {result_text(fid, kimg)}"
    # Hardly a curve lies beneath the lowest FID, so the label hides nothing there.
    place = {
        "ha": "left" if _is_early(kimg, axes) else "right",
        "va": "top",
        "textcoords": "offset points",
        "xytext": (6, -12),
    }
    axes.annotate(text, (kimg, fid), color=BEST, fontweight="bold", zorder=6, path_effects=HALO, **place)


def _draw_floor(info: CurvesInfo, floor: Floor, axes: Any) -> None:
    """Draws the floor as a dotted line, or as an arrow at the end of the axis where the line would squash the curves.

    The label of the floor stands at the side that the best trial's label leaves free.
    """
    best = next((curve for curve in info.curves if curve.trial_id == info.best), None)
    x, side = (0.995, "right") if best and _is_early(best.lowest[0], axes) else (0.005, "left")
    place = {"color": INK, "fontsize": 9, "ha": side, "textcoords": "offset points", "path_effects": HALO, "zorder": 6}
    text = f"floor {fid_text(floor.fid)}"
    if info.floor_fits:
        axes.axhline(floor.fid, **_FLOOR)
        place |= {"xycoords": axes.get_yaxis_transform(), "va": "bottom"}
        axes.annotate(text, (x, floor.fid), xytext=(0, 2), **place)
    elif floor.fid < axes.get_ylim()[0]:
        axes.annotate(f"↓ {text}", (x, 0), xytext=(0, 3), xycoords="axes fraction", va="bottom", **place)
    else:
        axes.annotate(f"↑ {text}", (x, 1), xytext=(0, -3), xycoords="axes fraction", va="top", **place)


def _is_early(kimg: float, axes: Any) -> bool:
    """Returns whether a label at `kimg` has more room to the right than to the left."""
    return axes.transAxes.inverted().transform(axes.transData.transform((kimg, 1.0)))[0] < 0.5


def _leave_room_below(axes: Any) -> None:
    """Lowers the FID axis by an eighth, for the best trial's label, but hardly below 0."""
    low, high = axes.get_ylim()
    if axes.get_yscale() == "log":
        axes.set_ylim(low / (high / low) ** 0.125, high)
    else:
        axes.set_ylim(max(low - 0.125 * (high - low), min(low, -0.04 * high)), high)


def _handles(info: CurvesInfo) -> list[Any]:
    handles: list[Any] = []
    if info.bands:
        handles += [
            Patch(color=_INNER, label="half of the trials"),
            Patch(color=_OUTER, label="8 of 10 trials"),
            Line2D([], [], color=FULL, linewidth=1.8, label="median"),
            Line2D([], [], label=f"the {len(info.leaders)} best trials", **_LEADER),
        ]
    else:
        kinds = {curve.status for curve in info.curves if curve.trial_id != info.best and not curve.baseline}
        handles += [
            Line2D([], [], color=colour, marker=_end_marker(status), markersize=5.5, linewidth=1.4, label=word)
            for status, (colour, _, word) in STATUS_STYLE.items()
            if status in kinds
        ]
    if info.best:
        label = "best trial, by the finals" if info.by_finals else "best trial"
        handles.append(Line2D([], [], color=BEST, marker="*", markersize=10, linewidth=2.4, label=label))
    if info.diverged:
        handles.append(point_handle(f"diverged before a FID ({len(info.diverged)})", BROKEN, "X", 8))
    if any(curve.baseline for curve in info.shown):
        handles.append(Line2D([], [], label="baseline (named)", **_BASELINE))
    if info.rungs:
        handles.append(Line2D([], [], label="rung (kimg)", **_RUNG))
    if info.floor is not None:
        handles.append(Line2D([], [], label=f"floor: {info.floor.images} real {info.floor.split} images", **_FLOOR))
    return handles


def _end_marker(status: str) -> str:
    """Returns the marker at the end of a curve: that of a scatter, where a trial that was stopped needs no other."""
    return "s" if status == "stopped" else STATUS_STYLE[status][1]
