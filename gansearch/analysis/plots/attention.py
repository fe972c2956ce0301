"""Where self-attention helps: `attention.png`, with the attention maps of the best trial of each place."""

from collections.abc import Iterator
from typing import Any

from matplotlib.figure import Figure

from gansearch.analysis.draw.parameter import draw_parameter, fid_limits, parameter_handles
from gansearch.analysis.draw.style import INK, MUTED, legend_below, titled
from gansearch.analysis.info.attention import AttentionInfo, Maps, attention_info
from gansearch.analysis.info.common_rung import CommonRung, common_rung
from gansearch.analysis.info.trials import state_text
from gansearch.analysis.pictures import opened
from gansearch.analysis.plots.base import Plot
from gansearch.registry import component
from gansearch.run import Run
from gansearch.text import fid_text, kimg_text


@component
class Attention(Plot):
    """FID at the common rung for each place of self-attention, and under it the maps of the best trial there."""

    def figures(self, run: Run) -> Iterator[tuple[str, Figure]]:
        rung = common_rung(run)
        info = attention_info(run, rung)
        if info is not None and rung.can_compare:
            yield "attention", _figure(run.manifest.name, rung, info, state_text(run))


def _figure(run: str, rung: CommonRung, info: AttentionInfo, state: str | None) -> Figure:
    pictures = [best.pictures if best else {} for best in info.best]
    networks = [network for network in ("G", "D") if any(network in one for one in pictures)]
    columns = len(info.best)
    figure = Figure(figsize=(max(6.4, 3.1 * columns), 4.6 + 2.75 * len(networks)), layout="constrained")
    grid = figure.add_gridspec(1 + len(networks), columns, height_ratios=[3.2] + [2.75] * len(networks))
    axes: Any = figure.add_subplot(grid[0, :])
    draw_parameter(info.param, rung, axes, fid_limits(rung, info.param.log_fid))
    axes.set_xlim(-0.5, columns - 0.5)  # so that each place stands over its pictures
    note = None if networks else _without_pictures(info)
    titled(axes, run, "does self-attention help, and where?", str(rung), state, note)
    for row, network in enumerate(networks, 1):
        for column, (best, label) in enumerate(zip(info.best, info.param.axis.choices or (), strict=True)):
            _draw_maps(figure.add_subplot(grid[row, column]), network, label, best)
    legend_below(figure, parameter_handles(rung, [info.param]))
    return figure


def _without_pictures(info: AttentionInfo) -> str:
    if info.elsewhere is not None:
        return f"the attention maps lie in {info.elsewhere}"
    return "the best trials of each place have left no attention maps"


def _draw_maps(axes: Any, network: str, label: str, best: Maps | None) -> None:
    axes.set_axis_off()
    file = best.pictures.get(network) if best else None
    picture = None if file is None else opened(file)
    if best is None or picture is None:
        text = "no self-attention" if label == "none" else "no picture"
        axes.text(0.5, 0.5, f"{network}: {text}", ha="center", va="center", color=MUTED)
        return
    axes.imshow(picture.convert("RGB"))
    length = f"{kimg_text(best.kimg)} kimg"
    title = f"{network} of trial {best.trial_id}, the best with {label}:\nFID {fid_text(best.fid)} at {length}"
    axes.set_title(title, fontsize=8.5, color=INK)
