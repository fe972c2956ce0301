"""Charts of the course of a search: what it cost, what it stopped, and how the losses of the best trials went."""

from collections.abc import Sequence

from gansearch.analysis.info.curves import is_wide
from gansearch.analysis.info.losses import LossCurves
from gansearch.analysis.info.progress import Progress, ProgressInfo
from gansearch.analysis.info.survival import FATES, Stage
from gansearch.analysis.report.chart import Chart, Layout, Trace, fid_axis, plain
from gansearch.text import fid_text, kimg_text, rough_text

_FATE_COLOURS = {
    "went on": "@full",
    "completed": "@real",
    "running": "@s5",
    "waiting": "@line",
    "stopped": "@cut",
    "diverged": "@broken",
    "infeasible": "@s4",
    "failed": "@best",
}
_SERIES = ("@s1", "@s2", "@s3", "@s4", "@s5")

_LOSS_AXES: Layout = {"xaxis": {"title": {"text": "training length (kimg)"}}, "yaxis": {"title": {"text": "loss"}}}


def progress_chart(info: ProgressInfo) -> Chart:
    """Returns the lowest FID so far against the work that it took."""
    rows = [info.search, *info.baselines]
    data = [_progress(row, number, info.unit) for number, row in enumerate(rows)]
    fids = [fid for row in rows for fid in row.fid]
    hours, fid = info.search.hours[-1], info.search.fid[-1]
    return Chart(
        name="progress",
        title="What the search cost",
        caption=f"The lowest FID so far against the {info.unit} until then; a flat end says that more gained nothing.",
        alt=f"The lowest FID of the search comes to {fid_text(fid)} within {rough_text(hours)} {info.unit}.",
        size="half",
        data=data,
        layout={
            "xaxis": {"title": {"text": info.unit}, "rangemode": "tozero"},
            "yaxis": fid_axis(fids, is_wide(fids), "lowest FID so far"),
        },
    )


def _progress(row: Progress, number: int, unit: str) -> Trace:
    name = "the search" if row.name is None else f"baseline {row.name} alone"
    dash, width = ("solid", 2.5) if row.name is None else ("dash", 1.5)
    line: Layout = {"shape": "hv", "color": _SERIES[number % len(_SERIES)], "width": width, "dash": dash}
    pairs = zip(row.hours, row.fid, strict=True)
    return {
        "x": row.hours,
        "y": row.fid,
        "mode": "lines+markers",  # a baseline that ended at the first rung is one point
        "marker": {"size": 2 + 2 * width},
        "cliponaxis": False,  # beside a long search it lies at the edge
        "text": [f"{plain(name)}<br>FID {fid_text(fid)}<br>{rough_text(hours)} {unit}" for hours, fid in pairs],
        "hovertemplate": "%{text}<extra></extra>",
        "name": plain(name),
        "line": line,
    }


def survival_chart(stages: Sequence[Stage]) -> Chart:
    """Returns how many trials came to each rung, and what became of them."""
    labels = ["start", *(f"{kimg_text(stage.kimg)} kimg" for stage in stages[1:])]
    data: list[Trace] = [
        {
            "type": "bar",
            "name": fate,
            "x": labels,
            "y": [stage.fates[fate] for stage in stages],
            "marker": {"color": _FATE_COLOURS[fate]},
            "hovertemplate": f"%{{y}} {fate}<extra>%{{x}}</extra>",
        }
        for fate in FATES
        if any(stage.fates[fate] for stage in stages)
    ]
    counts = ", ".join(f"{stage.trials} at {label}" for stage, label in zip(stages, labels, strict=True))
    return Chart(
        name="survival",
        title="How far the trials came",
        caption="A column is the trials that came to a rung; its parts are what became of them until the next one.",
        alt=f"Trials that came there: {counts}.",
        size="half",
        data=data,
        layout={"barmode": "stack", "xaxis": {"type": "category"}, "yaxis": {"title": {"text": "trials"}}},
    )


def losses_charts(curves: Sequence[LossCurves]) -> list[Chart]:
    """Returns the losses of the best trials: a chart of D and a chart of G."""
    of_d = [[(real + fake) / 2 for real, fake in zip(curve.d_real, curve.d_fake, strict=True)] for curve in curves]
    warning = "Losses with other names have other units: compare courses, not heights."
    return [
        _losses("D", curves, of_d, f"The mean of the losses of D on real and on generated images. {warning}"),
        _losses("G", curves, [curve.g for curve in curves], f"The loss of G. {warning}"),
    ]


def _losses(network: str, curves: Sequence[LossCurves], values: Sequence[list[float]], caption: str) -> Chart:
    rows = zip(curves, values, _SERIES, strict=False)
    ends = ", ".join(f"{row[-1]:.3g} of {curve.trial_id}" for curve, row in zip(curves, values, strict=True))
    return Chart(
        name=f"losses-{network}",
        title=f"Loss of {network} in the best trials",
        caption=caption,
        alt=f"The last loss of {network} is {ends}.",
        size="half",
        data=[
            _loss(curve, row, f"{curve.trial_id} ({curve.loss})", colour, 2.5 if curve is curves[0] else 1.5)
            for curve, row, colour in rows
        ],
        layout=_LOSS_AXES,
    )


def winner_losses_chart(curve: LossCurves) -> Chart:
    """Returns the losses of one trial: of D on real and on generated images, and of G."""
    parts = (("D on real images", curve.d_real), ("D on generated images", curve.d_fake), ("G", curve.g))
    data = [
        _loss(curve, values, name, colour, 2)
        for (name, values), colour in zip(parts, ("@s2", "@s4", "@s1"), strict=True)
    ]
    return Chart(
        name="winner-losses",
        title=f"Losses of trial {curve.trial_id}",
        caption=f"The losses at each evaluation; the loss is {curve.loss}.",
        alt=f"The last losses are {curve.d_real[-1]:.3g} of D on real images, {curve.d_fake[-1]:.3g} of D on generated "
        f"ones, and {curve.g[-1]:.3g} of G.",
        size="half",
        data=data,
        layout=_LOSS_AXES,
    )


def _loss(curve: LossCurves, values: list[float], name: str, colour: str, width: float) -> Trace:
    return {
        "x": curve.kimg,
        "y": values,
        "mode": "lines+markers",
        "marker": {"size": 4},
        "name": plain(name),
        "line": {"color": colour, "width": width},
        "hovertemplate": f"{plain(name)}<br>%{{y:.4g}} at %{{x}} kimg<extra></extra>",
    }
