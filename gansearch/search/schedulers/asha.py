"""ASHA of the stopping type (Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning")."""

import math
from collections.abc import Sequence

import numpy as np

from gansearch.registry import component
from gansearch.search.schedulers.base import Policy, Scheduler


@component
class ASHA(Scheduler):
    """A trial goes on at a rung if its FID is among the best 1 / eta of the FIDs that came to that rung before it."""

    def policy(self, rungs: Sequence[int], eta: int) -> Policy:
        fids: dict[int, dict[str, float]] = {rung: {} for rung in rungs[:-1]}

        def goes_on(trial_id: str, images: int, fid: float) -> bool:
            at_rung = fids.get(images)
            if at_rung is None or trial_id in at_rung:
                return True
            # In this form, of negated FIDs, rounding is Ray's, so that ties are decided as Ray decides them.
            best = [-other for other in at_rung.values()]
            cutoff = -float(np.percentile(best, (1 - 1 / eta) * 100)) if best else math.inf
            at_rung[trial_id] = fid
            return fid <= cutoff

        return goes_on
