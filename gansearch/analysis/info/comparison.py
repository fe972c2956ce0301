"""Two trials side by side."""

from pathlib import Path
from typing import NamedTuple

from gansearch.analysis.info.curves import Curve, curve_of
from gansearch.analysis.info.losses import LossCurves, loss_curves
from gansearch.analysis.text import value_text
from gansearch.errors import UserError
from gansearch.run.ledger import TrialState
from gansearch.run.loaded import Run
from gansearch.run.paths import samples_file
from gansearch.text import MISSING


class Side(NamedTuple):
    """One of the two trials. `samples` is its grid at the common length, None where there is no file."""

    curve: Curve
    losses: LossCurves
    fid: float | None
    samples: Path | None


class Comparison(NamedTuple):
    """Two trials.

    Args:
        sides: The two.
        kimg: The greatest length at which both have a grid of samples, else the greatest at which both have a FID; None
            where there is none.
        real: A grid of real images, None where there is no file.
        differing: The parameters that differ: the path and both values, `-` where it does not apply.
        elsewhere: The URI where the samples lie if that is an object store.
    """

    sides: tuple[Side, Side]
    kimg: float | None
    real: Path | None
    differing: list[tuple[str, str, str]]
    elsewhere: str | None


def comparison_info(run: Run, one: TrialState, other: TrialState) -> Comparison:
    """Returns what two trials have in common and in what they differ.

    Raises:
        UserError: The two are one, or one of them has no evaluation.
    """
    if one is other:
        raise UserError(f"trial {one.trial_id} is compared with itself: name two trials, as in --trials 2,6")
    for trial in (one, other):
        if not trial.evals:
            raise UserError(f"trial {trial.trial_id} has no evaluation ({trial.status}): name another trial")
    grids, fids = zip(*(_by_images(run, trial) for trial in (one, other)), strict=True)
    both = set(grids[0]) & set(grids[1]) or set(fids[0]) & set(fids[1])
    images = max(both, default=None)
    sides = [
        Side(
            curve_of(run, trial),
            loss_curves(run, trial),
            None if images is None else fids[at].get(images),
            None if images is None else grids[at].get(images),
        )
        for at, trial in enumerate((one, other))
    ]
    return Comparison(
        sides=(sides[0], sides[1]),
        kimg=None if images is None else images / 1000,
        real=run.dir.real if run.dir.real.is_file() else None,
        differing=_differing(run, one, other),
        elsewhere=run.elsewhere,
    )


def _by_images(run: Run, trial: TrialState) -> tuple[dict[int, Path], dict[int, float]]:
    """Returns by images the grids of samples that are there, and the FIDs."""
    rows = run.ledger.history(trial.trial_id)
    folders = [(row.images, folder) for row in rows if (folder := run.artifacts(row.trial_id))]
    files = {images: folder / samples_file(images) for images, folder in folders}
    return {images: file for images, file in files.items() if file.is_file()}, {row.images: row.fid for row in rows}


def _differing(run: Run, one: TrialState, other: TrialState) -> list[tuple[str, str, str]]:
    space = run.manifest.space
    sides = [space.active(trial.start.params) for trial in (one, other)]
    found = []
    for path in space.params:
        left, right = (value_text(side[path]) if path in side else MISSING for side in sides)
        if left != right:
            found.append((path, left, right))
    return found
