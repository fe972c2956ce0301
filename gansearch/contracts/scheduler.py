"""The contract of a scheduler."""

import itertools
import random

from gansearch.contracts.base import holds, require
from gansearch.search.schedulers.base import Scheduler

SUBJECT = Scheduler

_RUNGS, _INTERVAL, _ETA = (1600, 4800, 14400), 1600, 3
_CALLS = [  # trial, images, FID: nine trials side by side, the fifth is always the best
    (f"{trial:04d}", images, (1.0 if trial == 4 else 10.0 + noise) * 14400 / images)
    for images, trial, noise in (
        (images, trial, random.Random(images + trial).random())
        for images, trial in itertools.product(range(_INTERVAL, _RUNGS[-1], _INTERVAL), range(9))
    )
]


def _decisions(scheduler: Scheduler, *, twice: bool = False) -> list[object]:
    """Returns the decisions about trials that go on until they are stopped."""
    policy, stopped = scheduler.policy(_RUNGS, _ETA), set()
    found: list[object] = []
    for trial, images, fid in _CALLS:
        if trial in stopped:
            continue
        found.append(policy(trial, images, fid))
        if twice:
            policy(trial, images, fid)
        if not found[-1]:
            stopped.add(trial)
    return found


@holds("A decision is True or False.")
def decisions_are_booleans(scheduler: Scheduler) -> None:
    wrong = next((found for found in _decisions(scheduler) if not isinstance(found, bool)), None)
    require(wrong is None, f"a decision is {wrong!r}: return True where the trial goes on, else False")


@holds("The same evaluations give the same decisions, so that a search can be resumed.")
def decisions_repeat(scheduler: Scheduler) -> None:
    require(_decisions(scheduler) == _decisions(scheduler), "the second time it decides otherwise")


@holds("An evaluation that is reported twice changes nothing.")
def a_repeated_call_changes_nothing(scheduler: Scheduler) -> None:
    require(_decisions(scheduler) == _decisions(scheduler, twice=True), "a repeated call changes later decisions")


@holds("A trial that always has the lowest FID goes on, and so does one that is alone.")
def the_best_trial_goes_on(scheduler: Scheduler) -> None:
    policy = scheduler.policy(_RUNGS, _ETA)
    for trial, images, fid in _CALLS:
        require(policy(trial, images, fid) or fid > 14400 / images, f"the best trial is stopped at {images} images")
    alone = scheduler.policy(_RUNGS, _ETA)
    for images in range(_INTERVAL, _RUNGS[-1], _INTERVAL):
        require(alone("0000", images, 50.0), f"a trial that is alone is stopped at {images} images")
