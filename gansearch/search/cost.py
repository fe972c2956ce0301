"""What a search costs, before it runs: the plan's own scheduler decides about simulated trials."""

import heapq
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from statistics import fmean

from gansearch.errors import UserError, kind_and_message
from gansearch.run.manifest import Plan
from gansearch.search.decisions import policy_of

_MOST_TRAININGS = 1000  # of one simulation
_EVALUATIONS = 20_000  # of all simulations together: a fraction of a second
_MOST_SEEDS = 50
_SPREAD = 0.1  # standard deviation of the logarithm of a trial's speed


@dataclass(frozen=True)
class Cost:
    """What a search is expected to do.

    Args:
        trials: How many trials are begun.
        full: How many come to full length.
        trainings: The work of all, in full trainings.
        time: How long the search takes, in the time of a full training.
        passing: For each rung but the full length: how many trials have gone on from there when 0, 1, ... came there.
    """

    trials: float
    full: float
    trainings: float
    time: float
    passing: tuple[tuple[float, ...], ...] = ()

    @property
    def share(self) -> float:
        """The mean work of a trial, as a share of a full training."""
        return self.trainings / self.trials


def expected_cost(plan: Plan, slots: int, time: float = math.inf) -> Cost:
    """Returns the mean over simulated searches, each of the plan's trials.

    A trial has a merit, drawn at random, and its FIDs are its merit and a part that falls with its length, the same for
    all: there is no noise. The scheduler decides in the order of time, as it does in a search: a slot that is free
    takes a trial that is promoted, else a new one. Trials differ a little in speed, and none diverges.

    Args:
        plan: The plan. Without a number of trials, `time` ends the search.
        slots: How many trials run at once.
        time: The end of the search, in the time of a full training.

    Raises:
        UserError: The scheduler can't be built, or fails.
        ValueError: Neither a number of trials nor a time ends the search.
    """
    trials = plan.options.trials
    if trials is None and time == math.inf:
        raise ValueError("a search without an end has no cost")
    # A longer search is simulated in part; the rest of it is like that part.
    longest = min(time * slots, math.inf if trials is None else trials)  # in full trainings
    scale = max(1.0, longest / max(_MOST_TRAININGS, 3 * slots))
    some = None if trials is None else math.ceil(trials / scale)
    evaluations = math.ceil(longest / scale * plan.space.base.train.evaluations)
    seeds = max(1, min(_MOST_SEEDS, _EVALUATIONS // evaluations))
    try:
        found = [_simulated(plan, slots, some, time / scale, seed) for seed in range(seeds)]
    except UserError:
        raise
    except Exception as error:  # a scheduler may be the user's code: whatever is wrong in it is the user's to fix
        name = plan.options.scheduler.name if plan.options.scheduler else None
        raise UserError(f"scheduler {name}: {kind_and_message(error)}") from error
    costs, passing = zip(*found, strict=True)
    begun, full, trainings, duration = (scale * fmean(values) for values in zip(*costs, strict=True))
    return Cost(begun, full, trainings, duration, tuple(_mean(games) for games in zip(*passing, strict=True)))


def _mean(games: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """Returns the mean of each position over the games that have it."""
    return tuple(
        fmean(game[position] for game in games if position < len(game)) for position in range(max(map(len, games)))
    )


def _simulated(
    plan: Plan, slots: int, trials: int | None, end: float, seed: int
) -> tuple[tuple[float, float, float, float], list[list[float]]]:
    """Simulates one search; returns the numbers of its `Cost`, and its `passing`."""
    rng, policy, train = random.Random(seed), policy_of(plan), plan.space.base.train
    merits: dict[str, float] = {}
    steps: dict[str, float] = {}  # the time between two evaluations of a trial
    made: dict[str, int] = {}  # its evaluations
    waiting: set[str] = set()
    events: list[tuple[float, int, str]] = []
    order = count()  # decides between events of the same time
    now, work, full = 0.0, 0, 0
    passed = dict.fromkeys(plan.rungs[:-1], 0.0)
    passing: dict[int, list[float]] = {rung: [] for rung in passed}

    def passes(trial_id: str, images: int) -> None:
        policy.passed(trial_id, images)
        if images in passed:
            passed[images] += 1

    def next_trial() -> str | None:
        promoted = policy.promote()
        if promoted is None and len(merits) == trials and not events:
            promoted = policy.release()
        if promoted is not None:
            trial_id, images, _ = promoted
            passes(trial_id, images)
            waiting.remove(trial_id)
            return trial_id
        if len(merits) == trials:
            return None
        trial_id = f"{len(merits):04d}"
        merits[trial_id], made[trial_id] = rng.random(), 0
        steps[trial_id] = rng.lognormvariate(0, _SPREAD) / train.evaluations
        return trial_id

    while True:
        while len(events) < slots and (trial_id := next_trial()) is not None:
            heapq.heappush(events, (now + steps[trial_id], next(order), trial_id))
        if not events or events[0][0] > end:
            time = min(now, end) if not events else end
            for rung, found in passing.items():
                found.append(passed[rung])
            return (len(merits), full, work / train.evaluations, time), list(passing.values())
        now, _, trial_id = heapq.heappop(events)
        made[trial_id] += 1
        work += 1
        if made[trial_id] == train.evaluations:
            full += 1
            continue
        images = made[trial_id] * train.eval_images
        if images in passing:
            passing[images].append(passed[images])
        verdict = policy.at(trial_id, images, 2 + merits[trial_id] - images / train.max_images).verdict
        if verdict == "goes on":
            passes(trial_id, images)
            heapq.heappush(events, (now + steps[trial_id], next(order), trial_id))
        elif verdict == "waits":
            waiting.add(trial_id)
