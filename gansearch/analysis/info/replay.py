"""Each loss with each frequency of replay: FID at the common rung."""

from collections import defaultdict
from typing import NamedTuple

from gansearch.analysis.info.common_rung import CommonRung
from gansearch.analysis.info.parameters import axis_of, place_of
from gansearch.analysis.info.statistics import Box, box, quantile
from gansearch.analysis.text import value_text
from gansearch.run.space import Space

LOSS, REPLAY = "loss.name", "replay.every"


class Cell(NamedTuple):
    """The trials of one loss with one frequency: how many, their median FID, and from 8 on a box with its interval."""

    loss: int
    every: int
    trials: int
    median: float
    box: Box | None


class ReplayInfo(NamedTuple):
    """Losses against frequencies of replay.

    Args:
        losses: The losses, in the order of the space.
        every: After how many D steps one looks at replayed images, 0 never; the labels, from the lowest on.
        cells: The pairs that trials have.
    """

    losses: list[str]
    every: list[str]
    cells: list[Cell]


def replay_info(rung: CommonRung, space: Space) -> ReplayInfo | None:
    """Returns the median FID of each loss with each frequency; None where the search does not vary both."""
    if not {LOSS, REPLAY} <= space.params.keys():
        return None
    groups: dict[tuple[int, float], list[float]] = defaultdict(list)
    domain = space.params[LOSS].domain
    for trial in rung.trials:
        if {LOSS, REPLAY} <= trial.params.keys():
            groups[int(place_of(domain, trial.params[LOSS])), trial.params[REPLAY]].append(trial.fid)
    every = sorted({frequency for _, frequency in groups})
    if not groups:
        return None
    cells = [
        Cell(loss, every.index(frequency), len(fids), quantile(sorted(fids), 0.5), box(fids))
        for (loss, frequency), fids in sorted(groups.items())
    ]
    return ReplayInfo(axis_of(space, LOSS).choices or [], [value_text(one) for one in every], cells)
