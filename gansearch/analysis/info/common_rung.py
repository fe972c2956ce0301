"""All trials of a search at one length, so that like is compared with like.

The length is the highest rung that at least half of the evaluated trials reached, and at least 8 of them, or 30 where
so many were evaluated: with fewer nothing can be said of which parameters matter. Further up only those are left that
did well before. Among them a parameter that matters shows little: who had a bad value of it was stopped. Without a
scheduler the only rung is the full length. Where too few have come to any rung yet, as in a search that has just begun,
the length is the greatest one at which so many have an evaluation.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gansearch.analysis.info.trials import baseline_name, searched, shown_winner
from gansearch.analysis.noise import noisy_rungs
from gansearch.run.ledger import Standing
from gansearch.run.loaded import Run
from gansearch.run.rows import images_of
from gansearch.text import kimg_text

_LEAST = 8
ENOUGH = 30
_SHARE = 1 / 2


@dataclass(frozen=True, kw_only=True)
class TrialAtRung:
    """A trial of the search at the common rung.

    Args:
        trial_id: The trial.
        number: Its number.
        params: The parameters that applied, by dotted path, as far as they lie inside the space.
        fid: The FID at the rung; `inf` where the trial diverged before it, which is worse than all others.
        reached: The kimg that the trial came to by now.
        status: What became of it.
        baseline: The name of its recipe; None where it is no baseline.
        is_best: Whether it is the winner of the search, or continues it.
    """

    trial_id: str
    number: int
    params: Mapping[str, Any]
    fid: float
    reached: float
    status: Standing
    baseline: str | None
    is_best: bool

    @property
    def has_diverged_before(self) -> bool:
        return math.isinf(self.fid)


@dataclass(frozen=True, kw_only=True)
class CommonRung:
    """A length, and all trials that reached it or diverged before.

    Args:
        kimg: The length; 0 where no trial has an evaluation.
        trials: The trials by number.
        evaluated: How many trials have an evaluation.
        rungs: All rungs of the search in kimg, the full length last.
        is_noise: Whether the FIDs there differ no more than noise does (`gansearch.analysis.noise`).
    """

    kimg: float
    trials: list[TrialAtRung]
    evaluated: int
    rungs: tuple[float, ...]
    is_noise: bool

    @property
    def can_compare(self) -> bool:
        """Whether there are two trials at least, and one of them has a FID."""
        return len(self.trials) > 1 and bool(self.measured)

    @property
    def measured(self) -> list[TrialAtRung]:
        """The trials that have a FID there."""
        return [trial for trial in self.trials if not trial.has_diverged_before]

    def __str__(self) -> str:
        """What a title says: `FID at 4.8 kimg, which 352 of 1000 trials reached; 8 diverged before`."""
        reached, diverged = len(self.measured), len(self.trials) - len(self.measured)
        if reached == self.evaluated:
            who = "which the one trial reached" if reached == 1 else f"which all {reached} trials reached"
        else:
            who = f"which {reached} of {self.evaluated} trials reached"
        facts = [f"FID at {kimg_text(self.kimg)} kimg, {who}"]
        facts += [f"{diverged} diverged before"] if diverged else []
        return "; ".join([*facts, *(["they differ no more than by noise"] if self.is_noise else [])])

    def stage(self, reached: float) -> int:
        """Returns how many rungs a trial that came to `reached` kimg has reached."""
        return sum(images_of(rung) <= images_of(reached) for rung in self.rungs)


def common_rung(run: Run) -> CommonRung:
    """Returns the trials of a search at the highest rung that enough of them reached."""
    train = run.manifest.space.base.train
    rungs = tuple(run.manifest.rungs_kimg) or (train.max_kimg,)
    trials = searched(run)
    lengths = [run.ledger.history(trial.trial_id)[-1].images for trial in trials if trial.evals]
    evaluations = range(train.max_images, 0, -train.eval_images)
    candidates = [*sorted(map(images_of, rungs), reverse=True), *evaluations]
    least = min(len(lengths), max(_LEAST, math.ceil(_SHARE * len(lengths))))
    least = max(least, ENOUGH) if len(lengths) >= ENOUGH else least
    images = next((one for one in candidates if lengths and sum(length >= one for length in lengths) >= least), 0)
    return CommonRung(
        kimg=images / 1000,
        trials=_at(run, images),
        evaluated=len(lengths),
        rungs=rungs,
        is_noise=any(images_of(one.kimg) == images for one in noisy_rungs(run)),
    )


def _at(run: Run, images: int) -> list[TrialAtRung]:
    winner, space, found = shown_winner(run), run.manifest.space, []
    for trial in searched(run) if images else ():
        fid = run.ledger.fid_at(trial.trial_id, images) if trial.images >= images and trial.evals else None
        if fid is not None and run.ledger.history(trial.trial_id)[-1].images < images:
            fid = None  # trained that far, but its last evaluation lies before
        if fid is None and trial.status != "diverged":
            continue
        active = space.active(trial.start.params)
        found.append(
            TrialAtRung(
                trial_id=trial.trial_id,
                number=trial.number,
                params={path: value for path, value in active.items() if space.params[path].domain.contains(value)},
                fid=math.inf if fid is None else fid,
                reached=trial.kimg,
                status=trial.status,
                baseline=baseline_name(run.ledger[run.ledger.root_id(trial.trial_id)]),
                is_best=trial is winner,
            )
        )
    return found
