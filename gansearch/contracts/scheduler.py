"""The contract of a scheduler."""

import itertools
import random

from gansearch.contracts.base import holds, require
from gansearch.search.schedulers.base import Policy, Ruling, Scheduler

SUBJECT = Scheduler

_RUNGS, _INTERVAL, _ETA = (1600, 4800, 14400), 1600, 3
_LENGTHS = range(_INTERVAL, _RUNGS[-1], _INTERVAL)
_TRIALS, _BEST = 9, 4


def _fid(trial: int, images: int) -> float:
    """Returns the FID of a trial at a length; the fifth trial is always the best."""
    noise = random.Random(images + trial).random()
    return (1.0 if trial == _BEST else 10.0 + noise) * 14400 / images


def _rulings(scheduler: Scheduler, *, twice: bool = False) -> list[tuple[str, int, Ruling]]:
    """Returns what becomes of nine trials side by side, which train while they go on; at the end others go on."""
    policy, found = scheduler.policy(_RUNGS, _ETA), []
    trials = dict.fromkeys(range(_TRIALS), 0)
    for images, trial in itertools.product(_LENGTHS, range(_TRIALS)):
        if trial in trials:
            found += _train(policy, trials, trial, images, twice=twice)
    while (promoted := policy.promote() or policy.release()) is not None:
        trial_id, images, ruling = promoted
        require(ruling.verdict == "goes on", f"trial {trial_id} is promoted and {ruling.verdict}: let it go on")
        require(
            len(found) < _TRIALS * len(_LENGTHS) * 2, f"trial {trial_id} is promoted again and again: note `passed`"
        )
        policy.passed(trial_id, images)
        found.append(promoted)
        trials[int(trial_id)] = images
        for further in range(images + _INTERVAL, _RUNGS[-1], _INTERVAL):
            if int(trial_id) in trials:
                found += _train(policy, trials, int(trial_id), further, twice=twice)
    return found


def _train(
    policy: Policy, trials: dict[int, int], trial: int, images: int, *, twice: bool
) -> list[tuple[str, int, Ruling]]:
    trial_id = f"{trial:04d}"
    ruling = policy.at(trial_id, images, _fid(trial, images))
    require(isinstance(ruling, Ruling), f"a ruling is {ruling!r}: return a gansearch.search.schedulers.base.Ruling")
    if twice:
        policy.at(trial_id, images, _fid(trial, images))
    if ruling.verdict == "goes on":
        policy.passed(trial_id, images)
    else:
        del trials[trial]
    return [(trial_id, images, ruling)]


@holds("It rules whether a trial goes on, waits or stops, and promotes those that wait.")
def rulings_are_rulings(scheduler: Scheduler) -> None:
    _rulings(scheduler)


@holds("The same evaluations give the same rulings, so that a search can be resumed.")
def rulings_repeat(scheduler: Scheduler) -> None:
    require(_rulings(scheduler) == _rulings(scheduler), "the second time it rules otherwise")


@holds("An evaluation that is reported twice changes nothing.")
def a_repeated_call_changes_nothing(scheduler: Scheduler) -> None:
    require(_rulings(scheduler) == _rulings(scheduler, twice=True), "a repeated call changes later rulings")


@holds("A trial that always has the lowest FID comes to its full length.")
def the_best_trial_goes_on(scheduler: Scheduler) -> None:
    best = [(images, ruling.verdict) for trial_id, images, ruling in _rulings(scheduler) if int(trial_id) == _BEST]
    require(best[-1] == (_LENGTHS[-1], "goes on"), f"the best trial {best[-1][1]} at {best[-1][0]} images")


@holds("A trial that is alone is not stopped.")
def a_trial_alone_goes_on(scheduler: Scheduler) -> None:
    policy = scheduler.policy(_RUNGS, _ETA)
    for images in _LENGTHS:
        ruling = policy.at("0000", images, 50.0)
        require(ruling.verdict != "stops", f"a trial that is alone is stopped at {images} images")
        if ruling.verdict == "waits":
            promoted = policy.promote()
            require(promoted is not None, f"a trial that is alone waits for ever at {images} images")
        policy.passed("0000", images)
