"""The answer that a report begins with: the winner, how sure that is, what it beats, and the commands that make it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from gansearch.analysis.info.trials import baseline_name
from gansearch.analysis.noise import fid_noise
from gansearch.analysis.text import floor_text, value_text
from gansearch.program import command
from gansearch.run.finals import Finalist
from gansearch.run.ledger import TrialState, best_trial
from gansearch.run.loaded import Run
from gansearch.text import fid_text, kimg_text, rough_text


class Fact(NamedTuple):
    """A line of a list: a name, and what is known under that name."""

    name: str
    text: str


class Command(NamedTuple):
    """A command that can be pasted, and what it does."""

    purpose: str
    line: str


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a reader wants to know first.

    Args:
        trial_id: The winner.
        origin: Who proposed it.
        fid: Its FID as a text: the mean of its finals, or the lowest FID of its trial.
        meaning: What that number is.
        facts: What speaks for it.
        params: Its parameters.
        commands: What makes its generator.
        warnings: What makes the answer less sure, or its generator out of reach.
    """

    trial_id: str
    origin: str
    fid: str
    meaning: str
    facts: list[Fact]
    params: list[Fact]
    commands: list[Command]
    warnings: list[str]


def answer(run: Run) -> Answer | None:
    """Returns the answer of a run; None where no trial has an FID."""
    winner = run.winner
    if winner is None or winner.best is None:
        return None
    finalist = run.finalist(winner)
    fid, meaning = _measured(winner, finalist)
    params = run.manifest.space.active(winner.start.params)
    return Answer(
        trial_id=winner.trial_id,
        origin=winner.start.origin,
        fid=fid,
        meaning=meaning,
        facts=list(_facts(run, winner, finalist)),
        params=[Fact(path, value_text(value)) for path, value in params.items()],
        commands=list(_commands(run, winner)),
        warnings=list(_warnings(run, winner)),
    )


def interval_text(finalist: Finalist) -> str:
    """Returns the 95 % confidence interval of a mean, `0.62 to 0.79`; a dash where there is none."""
    return "-" if finalist.interval is None else " to ".join(map(fid_text, finalist.interval))


def best_baseline(run: Run) -> TrialState | None:
    """Returns the best baseline, by the finals or else by its lowest FID; None where there is none with an FID."""
    judged = [run.ledger[one.trial_id] for one in run.finalists if one.fids]
    if placed := next((trial for trial in judged if trial.is_baseline), None):
        return placed
    return best_trial(trial for trial in run.ledger.values() if trial.is_baseline and not trial.is_final)


def _measured(winner: TrialState, finalist: Finalist | None) -> tuple[str, str]:
    assert winner.best is not None
    if finalist is None or finalist.mean is None:
        return fid_text(winner.best.fid), f"the lowest FID of one training, at {kimg_text(winner.best.kimg)} kimg"
    interval = f"; 95 % interval {interval_text(finalist)}" if finalist.interval else ""
    finals = "final" if finalist.counted == 1 else "finals"
    return fid_text(finalist.mean), f"the mean of {finalist.counted} {finals}{interval}"


def _facts(run: Run, winner: TrialState, finalist: Finalist | None) -> Iterator[Fact]:
    yield from _against_baseline(run, winner, finalist)
    if run.finals is not None and finalist is not None:
        yield Fact("Place", _place(run.finals.finalists, finalist))
    if run.manifest.floor is not None:
        yield Fact("Floor", floor_text(run.manifest.floor).removeprefix("floor: "))


def _against_baseline(run: Run, winner: TrialState, finalist: Finalist | None) -> Iterator[Fact]:
    """Yields the winner against the best baseline: by means where both have finals, else by one training each."""
    baseline = best_baseline(run)
    if baseline is None:
        yield Fact("Against baselines", "the run has no baseline with an FID to compare with")
        return
    name = f"{baseline_name(baseline)} (trial {baseline.trial_id})"
    if baseline.params_key == winner.params_key:
        yield Fact("Against baselines", f"the winner is itself a baseline, {name}: no sampled trial is better")
        return
    other = run.finalist(baseline)
    if finalist and other and finalist.mean is not None and other.mean is not None:
        words = f"mean FID {_difference(other.mean, finalist.mean)}"
        if other.place is not None and finalist.place is not None:
            words += "; no test tells them apart" if other.place == finalist.place else "; a significant difference"
    else:
        words = _by_one_training(run, winner, baseline)
    yield Fact("Against the best baseline", f"{name}: {words}")


def _by_one_training(run: Run, winner: TrialState, baseline: TrialState) -> str:
    """Returns two trials compared by their lowest FIDs, and at one length where the baseline ended before."""
    assert winner.best is not None and baseline.best is not None
    words = f"FID {_difference(baseline.best.fid, winner.best.fid)}, with one training each"
    if baseline.images >= winner.best.images:
        return words
    fid = run.ledger.fid_at(winner.trial_id, baseline.images)
    other = run.ledger.fid_at(baseline.trial_id, baseline.images)
    words = f"{baseline.status} at {kimg_text(baseline.kimg)} kimg with FID {fid_text(other)}"
    return f"{words}; the winner had {fid_text(fid)} there, and came to {fid_text(winner.best.fid)}"


def _difference(other: float, own: float) -> str:
    ratio = f", {rough_text(other / own, 2)} times as low" if 0 < own < other else ""
    change = f"{fid_text(abs(other - own))} {'lower' if own <= other else 'higher'}"
    return f"{fid_text(other)} against {fid_text(own)} of the winner: {change}{ratio}"


def _place(finalists: tuple[Finalist, ...], finalist: Finalist) -> str:
    if finalist.place is None:
        return f"one of {len(finalists)} finalists, with too few seeds to compare"
    ties = [one.trial_id for one in finalists if one.place == finalist.place and one is not finalist]
    place = f"{finalist.place} of {len(finalists)} finalists"
    if ties:
        place += f", a tie with {', '.join(ties)}: no test tells them apart"
    if finalist.better_than_next is not None:
        place += f"; its mean is the lower one with probability {finalist.better_than_next:.2f}"
    return place


def _commands(run: Run, winner: TrialState) -> Iterator[Command]:
    path, flag = run.dir.path, run.plan.code_flag
    stands_for = run.best_generator or winner
    config = Path(run.dir.trial_config(stands_for.trial_id))
    if config.is_file():
        yield Command("Train it again", command("trial", config, *flag))
    if run.checkpoint(stands_for.trial_id) is not None:
        yield Command("Write its generator as files", command("export", path, *flag))
    if run.finals is None:
        yield Command("Find out whether it is really the best", command("finals", path, *run.plan.search_flags))


def _warnings(run: Run, winner: TrialState) -> Iterator[str]:
    stands_for = run.best_generator or winner
    if run.finals is None and run.saved_finals is not None:
        yield "finals.json is void: the search has gone on since it was written, so it does not decide here."
    if run.finals is None:
        searched = sum(trial.best is not None and not trial.is_final for trial in run.ledger.values())
        if searched > 1:
            yield (
                f"One seed decides: this is the lowest of {searched} trials, each measured once, so its FID is "
                "too low on average, and a trial close behind may be better."
            )
        noise = fid_noise(run.ledger)
        if noise is not None:
            yield (
                f"Two measurements of one generator differ by about {math.sqrt(2) * noise:.1%}: "
                "trials that this does not tell apart share a rank."
            )
    if run.checkpoint(stands_for.trial_id) is None:
        yield f"The checkpoint of trial {stands_for.trial_id} is missing: its generator can't be exported."
    if not Path(run.dir.trial_config(stands_for.trial_id)).is_file():
        yield f"The config.json of trial {stands_for.trial_id} is missing: no command trains exactly it again."
