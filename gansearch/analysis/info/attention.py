"""Where self-attention is placed: FID at the common rung for each place, and attention maps of its best trial."""

import math
from pathlib import Path
from typing import NamedTuple

from gansearch.analysis.info.common_rung import CommonRung
from gansearch.analysis.info.parameters import ParamInfo, param_info
from gansearch.run.loaded import Run
from gansearch.run.paths import attention_file

PARAMETER = "model.attention_at"


class Maps(NamedTuple):
    """The best trial of a choice, and the pictures of its networks that have self-attention, by network."""

    trial_id: str
    fid: float
    kimg: float
    pictures: dict[str, Path]


class AttentionInfo(NamedTuple):
    """The places of self-attention.

    Args:
        param: The FIDs at the common rung, by place.
        best: For each place the trial with the lowest FID of all its lengths; None where no trial has a FID.
        elsewhere: The URI where the pictures lie if that is an object store.
    """

    param: ParamInfo
    best: list[Maps | None]
    elsewhere: str | None


def attention_info(run: Run, rung: CommonRung) -> AttentionInfo | None:
    """Returns the places of self-attention; None where the search has one place only."""
    space = run.manifest.space
    if PARAMETER not in space.params:
        return None
    domain = space.params[PARAMETER].domain
    if domain.is_single or not domain.is_categorical:
        return None
    info = param_info(rung, space, PARAMETER)
    if not info.points:
        return None
    best = [_best(run, info, index) for index in range(len(info.axis.choices or ()))]
    return AttentionInfo(info, best, run.elsewhere)


def _best(run: Run, info: ParamInfo, index: int) -> Maps | None:
    ids = [point.trial.trial_id for point in info.points if point.x == index and point.trial.fid < math.inf]
    rows = [(row, trial_id) for trial_id in ids for row in run.ledger.history(trial_id)]
    if not rows:
        return None
    row, trial_id = min(rows, key=lambda one: (one[0].fid, one[0].number))
    # A trial that continues another one has the pictures of its own evaluations only.
    folder = run.artifacts(row.trial_id)
    files = {network: folder / attention_file(row.images, network) for network in ("G", "D")} if folder else {}
    return Maps(trial_id, row.fid, row.kimg, {network: file for network, file in files.items() if file.is_file()})
