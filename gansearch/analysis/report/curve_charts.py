"""Charts of FID against the length of the training."""

import math
from collections.abc import Iterator

from gansearch.analysis.info.curves import SHARES, Band, Curve, CurvesInfo, fits, is_wide
from gansearch.analysis.report.chart import (
    Chart,
    Layout,
    Trace,
    epoch_axis,
    fid_axis,
    floor_line,
    point_text,
    rung_lines,
)
from gansearch.run.manifest import Manifest
from gansearch.text import fid_text, kimg_text

_COLOURS = {
    "completed": "@full",
    "running": "@real",
    "diverged": "@broken",
    "infeasible": "@broken",
    "failed": "@broken",
}
_MANY = 25


def curves_chart(info: CurvesInfo, manifest: Manifest) -> Chart:
    """Returns FID against kimg: all trials, or bands of them with the best and the baselines."""
    data = [*_bands(info.bands), *_lines(info, manifest)]
    fids = [fid for curve in info.curves for fid in curve.fid]
    how = (
        "the bands hold 80 % and 50 % of the trials that came from one rung to the next, the line is their median"
        if info.bands
        else "a line is a trial"
    )
    caption = f"Lower is better; {how}, and the thick line is the winner."
    if info.rungs:
        caption += " At a dotted line, a rung, only the best go on."
    if info.diverged:
        caption += f" Not shown: {len(info.diverged)} that diverged before any FID."
    return Chart(
        name="curves",
        title="FID against the length of the training",
        caption=caption,
        alt=_alt(info),
        size="full",
        data=data,
        layout=_layout(manifest, fids, info, data),
    )


def trial_chart(curve: Curve, info: CurvesInfo, manifest: Manifest) -> Chart:
    """Returns the FID of one trial at each evaluation; `info` has the rungs and the floor."""
    data = [_line(curve, manifest, f"trial {curve.trial_id}", "@best", 2.5)]
    kimg, fid = curve.lowest
    epochs = manifest.num_train is not None
    return Chart(
        name="winner",
        title=f"FID of trial {curve.trial_id}" + (" by epoch" if epochs else ""),
        caption="The FID at each evaluation" + (", by kimg below and by epochs above." if epochs else "."),
        alt=f"The FID falls from {fid_text(curve.fid[0])} to {fid_text(fid)} at {kimg_text(kimg)} kimg.",
        size="half",
        data=data,
        layout=_layout(manifest, curve.fid, info, data) | {"showlegend": False},
    )


def _layout(manifest: Manifest, fids: list[float], info: CurvesInfo, data: list[Trace]) -> Layout:
    log = is_wide(fids)
    layout: Layout = {
        "xaxis": {"title": {"text": "training length (kimg)"}, "range": [0, 1.02 * manifest.max_kimg]},
        "yaxis": fid_axis(fids, log),
        **rung_lines(info.rungs[:-1]),
    }
    if manifest.num_train is not None:
        trace, layout["xaxis2"] = epoch_axis(manifest.num_train, manifest.max_kimg)
        layout["margin"] = {"t": 56}
        data.append(trace)
    if info.floor is not None and fits(info.floor.fid, fids, log):
        line, label = floor_line(info.floor.fid)
        layout["shapes"].append(line)
        # Plotly places an annotation on a logarithmic axis by the exponent.
        layout["annotations"] = [label | ({"y": math.log10(info.floor.fid)} if log else {})]
    return layout


def _bands(bands: list[Band]) -> Iterator[Trace]:
    middle = len(SHARES) // 2
    for number, band in enumerate(bands):
        for low, high, colour in ((0, -1, "@band"), (1, -2, "@band-inner")):
            edge = {"x": band.kimg, "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
            yield edge | {"y": [fids[low] for fids in band.fids]}
            yield edge | {"y": [fids[high] for fids in band.fids], "fill": "tonexty", "fillcolor": colour}
        yield {
            "x": band.kimg,
            "y": [fids[middle] for fids in band.fids],
            "mode": "lines" if len(band.kimg) > 1 else "lines+markers",
            "line": {"color": "@full", "width": 2},
            "marker": {"color": "@full"},
            "name": "median",
            "legendgroup": "median",
            "showlegend": number == 0,
            "text": [fid_text(fids[middle]) for fids in band.fids],
            "hovertemplate": f"median of {band.trials} trials: %{{text}}<extra></extra>",
        }


def _lines(info: CurvesInfo, manifest: Manifest) -> Iterator[Trace]:
    """Yields one trace for each kind of trial, with gaps between trials, so that there are few traces."""
    shown = [curve for curve in info.shown if curve.trial_id != info.best]
    kinds: dict[tuple[str, str], list[Curve]] = {}
    for curve in shown:
        kind = ("baseline", "@real") if curve.baseline else _kind(curve, info)
        kinds.setdefault(kind, []).append(curve)
    for (name, colour), curves in kinds.items():
        trace = _joined(curves, manifest)
        opacity = 0.55 if len(curves) > _MANY else 0.85
        dash = "dash" if name == "baseline" else "solid"
        yield trace | {"name": name, "opacity": opacity, "line": {"color": colour, "width": 1.2, "dash": dash}}
    for curve in info.curves:
        if curve.trial_id == info.best:
            yield _line(curve, manifest, f"winner {info.winner}", "@best", 3)


def _kind(curve: Curve, info: CurvesInfo) -> tuple[str, str]:
    if info.bands:
        return "ten best", "@cut"
    return curve.status, _COLOURS.get(curve.status, "@cut")


def _joined(curves: list[Curve], manifest: Manifest) -> Trace:
    traces = [_line(curve, manifest, "", "", 1) for curve in curves]
    return {
        "mode": "lines+markers",
        "marker": {"size": 4},
        "hovertemplate": "%{text}<extra></extra>",
        "x": [x for trace in traces for x in [*trace["x"], None]],
        "y": [y for trace in traces for y in [*trace["y"], None]],
        "text": [text for trace in traces for text in [*trace["text"], ""]],
    }


def _line(curve: Curve, manifest: Manifest, name: str, colour: str, width: float) -> Trace:
    pairs = list(zip(curve.kimg, curve.fid, strict=True))
    return {
        "mode": "lines+markers",
        "marker": {"size": 2 + 2 * width},
        "hovertemplate": "%{text}<extra></extra>",
        "x": curve.kimg,
        "y": curve.fid,
        "text": [point_text(curve.trial_id, fid, kimg, manifest.epochs(kimg)) for kimg, fid in pairs],
        "name": name,
        "line": {"color": colour, "width": width},
    }


def _alt(info: CurvesInfo) -> str:
    text = f"FID of {len(info.curves)} trials against kimg."
    best = next((curve for curve in info.curves if curve.trial_id == info.best), None)
    if best is not None:
        kimg, fid = best.lowest
        text += f" The winner, trial {info.winner}, comes to {fid_text(fid)} at {kimg_text(kimg)} kimg."
    if info.floor is not None:
        text += f" The floor is {fid_text(info.floor.fid)}."
    return text
