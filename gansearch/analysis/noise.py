"""At which rungs a search decided by luck: where its FIDs differ no more than two FIDs of equal parameters do.

The rule, in logarithms of FIDs: at a rung the quartiles of the trials lie less than two standard deviations of the
noise apart. For normal values that is the point where parameters spread the FIDs as far as noise does: the quartiles of
noise alone lie 1.35 standard deviations apart.

The noise is that between the finals of equal parameters at the same rung, where there are finals. Without them it is
that between neighbouring evaluations in the last third of full trials. This is a weak estimate: a trial still learns
there, which counts as noise, and all its evaluations share one seed, which hides a part of the noise; early in the
training the noise may be another. It is good enough to warn of a rung, and no proof that another rung is sound.
"""

import itertools
import math
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from statistics import fmean, median, quantiles

from gansearch.run.ledger import Ledger
from gansearch.run.loaded import Run
from gansearch.run.rows import images_of
from gansearch.text import fid_text, kimg_text

_LEAST_TRIALS = 8  # for quartiles
_LEAST_DIFFERENCES = 4
_LEAST_FREEDOM = 3  # degrees of freedom: FIDs less groups of equal ones
_MEDIAN_OF_DIFFERENCES = 0.954  # of |a - b| for two normal values, in standard deviations of one: 0.6745 * sqrt(2)


def fid_noise(ledger: Ledger) -> float | None:
    """Returns the standard deviation of the logarithm of an FID between z, pooled over the measured checkpoints.

    It is None where no noise was measured.
    """
    measured = [trial.noise.fids for trial in ledger.values() if trial.noise]
    return _pooled([[math.log(fid) for fid in fids] for fids in measured if min(fids) > 0])


@dataclass(frozen=True, kw_only=True)
class NoisyRung:
    """A rung at which the FIDs of the trials lie within the noise.

    Args:
        kimg: The rung.
        trials: How many trials came there.
        quartiles: The lower and the upper quartile of their FIDs.
        noise: The standard deviation of the logarithm of an FID.
        is_of_finals: Whether `noise` is that between seeds; else it is that between late evaluations of one trial.
        next_rung: The evaluations before the rung that follows, None where that is the full length.
        is_first: Whether it is the first rung.
    """

    kimg: float
    trials: int
    quartiles: tuple[float, float]
    noise: float
    is_of_finals: bool
    next_rung: int | None
    is_first: bool

    def __str__(self) -> str:
        low, high = map(fid_text, self.quartiles)
        source = "between seeds" if self.is_of_finals else "between late evaluations of a trial"
        line = (
            f"at {kimg_text(self.kimg)} kimg the FIDs of {self.trials} trials ({low} to {high} between the quartiles) "
            f"lie within the noise of an FID ({self.noise:.1%} {source}): this rung decides by luck"
        )
        if not self.is_first:
            return line
        return f"{line}; use {'--scheduler none' if self.next_rung is None else f'--first-rung {self.next_rung}'}"


def noisy_rungs(run: Run) -> list[NoisyRung]:
    """Returns the rungs of a run at which it decided by luck; none where there are too few FIDs to tell."""
    train, ledger = run.manifest.space.base.train, run.ledger
    rungs = [images_of(kimg) for kimg in run.manifest.rungs_kimg]
    late, compared = _late_noise(ledger, train.max_images), _fids(ledger, rungs)
    found = []
    for rung, following in itertools.pairwise(rungs):
        fids = compared[rung]
        of_finals = _noise_of_finals(ledger, rung)
        noise = late if of_finals is None else of_finals
        if noise is None or len(fids) < _LEAST_TRIALS:
            continue
        low, _, high = quantiles(map(math.log, fids), n=4, method="inclusive")
        if high - low < 2 * noise:
            found.append(
                NoisyRung(
                    kimg=rung / 1000,
                    trials=len(fids),
                    quartiles=(math.exp(low), math.exp(high)),
                    noise=noise,
                    is_of_finals=of_finals is not None,
                    next_rung=None if following == train.max_images else following // train.eval_images,
                    is_first=rung == rungs[0],
                )
            )
    return found


def _fids(ledger: Ledger, rungs: Iterable[int]) -> dict[int, list[float]]:
    """Returns the positive FIDs that a scheduler has compared at rungs; one that continues another counts as that."""
    found: dict[int, list[float]] = {rung: [] for rung in rungs}
    for id, trial in ledger.items():
        if trial.is_final or ledger.root_id(id) != id:
            continue
        images = trial.images
        for rung, fids in found.items():
            fid = ledger.fid_at(id, rung) if images >= rung else None
            if fid is not None and fid > 0:
                fids.append(fid)
    return found


def _noise_of_finals(ledger: Ledger, rung: int) -> float | None:
    """Returns the standard deviation at a rung of log FIDs between seeds, pooled over the parameters of the finals."""
    groups: dict[str, list[float]] = defaultdict(list)
    for trial in ledger.values():
        if not trial.is_final or trial.images < rung:
            continue
        fid = ledger.fid_at(trial.trial_id, rung)
        if fid is not None and fid > 0:
            groups[trial.params_key].append(math.log(fid))
    return _pooled(groups.values())


def _pooled(groups: Collection[list[float]]) -> float | None:
    """Returns the standard deviation within groups of values; None where they have too few degrees of freedom."""
    freedom = sum(len(values) - 1 for values in groups)
    if freedom < _LEAST_FREEDOM:
        return None
    return math.sqrt(sum((value - fmean(values)) ** 2 for values in groups for value in values) / freedom)


def _late_noise(ledger: Ledger, full: int) -> float | None:
    """Returns the standard deviation of log FIDs between neighbouring evaluations in the last third of full trials."""
    differences = []
    for trial in ledger.values():
        if trial.status == "completed" and trial.images >= full:
            late = [row.fid for row in ledger.history(trial.trial_id) if 3 * row.images > 2 * full and row.fid > 0]
            differences += [abs(math.log(after / before)) for before, after in itertools.pairwise(late)]
    return median(differences) / _MEDIAN_OF_DIFFERENCES if len(differences) >= _LEAST_DIFFERENCES else None
