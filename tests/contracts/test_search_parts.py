"""Samplers, schedulers, loggers, artifacts and plots hold their contracts, and broken ones are caught."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, get_args

import optuna
import pytest
import torch
from matplotlib.figure import Figure
from optuna.samplers import BaseSampler

from gansearch import registry
from gansearch.analysis.plots.base import Plot
from gansearch.contracts.base import Property, verdicts
from gansearch.run import Run, Space
from gansearch.run.rows import Start
from gansearch.search.drawing import draw_at_random
from gansearch.search.history import History
from gansearch.search.loggers.base import Listener, Logger
from gansearch.search.loggers.csv import CSV
from gansearch.search.samplers.base import Sampler
from gansearch.search.samplers.imported import adapt
from gansearch.search.schedulers.base import GOES_ON, Policy, Ruling, Scheduler
from gansearch.training.artifacts.base import Artifact, File, Snapshot
from tests.contracts.holding import cases, hold

KINDS: tuple[registry.Kind, ...] = ("sampler", "scheduler", "logger", "artifact", "plot")

STOPS = Ruling("stops")


def built(kind: registry.Kind) -> dict[str, Any]:
    return {name: cls() for name, cls in registry.classes(kind).items()}


@pytest.mark.parametrize(("each", "component"), [case for kind in KINDS for case in cases(kind, built(kind))])
def test_a_component_holds_its_contract(each: Property, component: Any) -> None:
    hold(each, component)


def test_all_kinds_are_held_somewhere() -> None:
    assert {*KINDS, *registry.SECTIONS} == set(get_args(registry.Kind))


class MedianPolicy(Policy):
    """A trial goes on while its FID is not above the median of those seen at its length."""

    def __init__(self) -> None:
        self._seen: dict[int, dict[str, float]] = {}
        self._rulings: dict[tuple[str, int], Ruling] = {}

    def at(self, trial_id: str, images: int, fid: float) -> Ruling:
        fids = self._seen.setdefault(images, {})
        if trial_id not in fids:
            fids[trial_id] = fid
            median = sorted(fids.values())[len(fids) // 2]
            self._rulings[trial_id, images] = Ruling("goes on" if fid <= median else "stops", median, len(fids))
        return self._rulings[trial_id, images]


class MedianStopping(Scheduler):
    """A scheduler of another kind."""

    def policy(self, rungs: Sequence[int], eta: int) -> Policy:
        return MedianPolicy()


def scheduler_of(name: str, rule: Callable[[], Callable[[str, int, float], Any]], **others: Any) -> Scheduler:
    """Returns a scheduler whose policy's `at` is what `rule` returns; `others` are further methods of the policy."""

    def policy(self: Scheduler, rungs: Sequence[int], eta: int) -> Policy:
        made = rule()
        methods = {"at": lambda self, trial_id, images, fid: made(trial_id, images, fid), **others}
        return type(name, (Policy,), methods)()

    found: type[Scheduler] = type(name, (Scheduler,), {"policy": policy})
    return found()


everything = scheduler_of("Everything", lambda: lambda trial_id, images, fid: GOES_ON)


@pytest.mark.parametrize("scheduler", [MedianStopping(), everything], ids=["median", "everything"])
def test_schedulers_of_another_kind_hold_it(scheduler: Scheduler) -> None:
    assert [verdict for verdict in verdicts("scheduler", scheduler) if not verdict.ok] == []


@pytest.mark.parametrize("cls", [optuna.samplers.TPESampler, optuna.samplers.GPSampler])
def test_optuna_s_samplers_hold_it(cls: type[BaseSampler]) -> None:
    made = adapt(cls)
    assert made is not None
    # The first ones are random draws, which take no time; after them a Gaussian process is fitted for each.
    assert [verdict for verdict in verdicts("sampler", made(n_startup_trials=16)) if not verdict.ok] == []


class Unseeded(Sampler):
    def propose(self, space: Space, history: History, seed: int) -> dict[str, Any]:
        return draw_at_random(space, random.randrange(2**32))


class Repeating(Sampler):
    def propose(self, space: Space, history: History, seed: int) -> dict[str, Any]:
        return draw_at_random(space, 7)


class Remembering(Sampler):
    """What it has seen in one driver is lost in the next."""

    def propose(self, space: Space, history: History, seed: int) -> dict[str, Any]:
        _CALLS.append(seed)
        return draw_at_random(space, seed + len(_CALLS))


_CALLS: list[int] = []


class Excessive(Sampler):
    def propose(self, space: Space, history: History, seed: int) -> dict[str, Any]:
        return {"optim.g_lr": 1.0 + seed, "loss.name": "hinge"}


class Blunt(Sampler):
    """It gives a value to parameters that do not apply."""

    def propose(self, space: Space, history: History, seed: int) -> dict[str, Any]:
        return {"loss.clip": 0.05} | draw_at_random(space, seed)


coin = scheduler_of("Coin", lambda: lambda trial_id, images, fid: random.choice([GOES_ON, STOPS]))
words = scheduler_of("Words", lambda: lambda trial_id, images, fid: "CONTINUE")
endless = scheduler_of(
    "Endless", lambda: lambda trial_id, images, fid: Ruling("waits"), promote=lambda self: ("0004", 1600, GOES_ON)
)
starving = scheduler_of("Starving", lambda: lambda trial_id, images, fid: Ruling("waits"))


def counting_rule() -> Callable[[str, int, float], Ruling]:
    calls: list[str] = []

    def at(trial_id: str, images: int, fid: float) -> Ruling:
        calls.append(trial_id)
        return GOES_ON if len(calls) % 3 else STOPS

    return at


counting = scheduler_of("Counting", counting_rule)


class StartsOnly(Logger):
    @contextmanager
    def opened(self, run: Run) -> Iterator[Listener]:
        def log(row: Any, ledger: Any) -> None:
            assert isinstance(row, Start), "I did not expect that"

        yield log


class Rewriting(CSV):
    @contextmanager
    def opened(self, run: Run) -> Iterator[Listener]:
        run.dir.results.write_text("mine now")
        yield lambda row, ledger: None


class Latest(Artifact):
    def files(self, snapshot: Snapshot) -> Iterator[File]:
        yield "latest.txt", b"..."


class Outside(Artifact):
    def files(self, snapshot: Snapshot) -> Iterator[File]:
        yield f"../{snapshot.evaluation.images}.txt", b"..."


class Meddling(Artifact):
    def files(self, snapshot: Snapshot) -> Iterator[File]:
        snapshot.D.eval()
        yield f"{snapshot.evaluation.images}.txt", b"..."


class Dicing(Artifact):
    def files(self, snapshot: Snapshot) -> Iterator[File]:
        yield f"{snapshot.evaluation.images}.txt", bytes(str(torch.rand(1)), "utf-8")


class NoFigure(Plot):
    def figures(self, run: Run) -> Iterator[tuple[str, Figure]]:
        yield "mine", "a picture"  # type: ignore[misc]


class Hasty(Plot):
    def figures(self, run: Run) -> Iterator[tuple[str, Figure]]:
        done = [trial for trial in run.ledger.values() if trial.end]
        yield f"best/{done[0].trial_id}", Figure()


@pytest.mark.parametrize(
    ("kind", "component", "reasons"),
    [
        ("sampler", Unseeded(), ["is proposed otherwise the second time"]),
        ("sampler", Repeating(), ["one and the same again and again"]),
        ("sampler", Remembering(), ["is proposed otherwise the second time"]),
        ("sampler", Excessive(), ["the sampler proposes another value: optim.g_lr="]),
        ("sampler", Blunt(), ["of which loss.clip is without an effect"]),
        ("scheduler", coin, ["the second time it rules otherwise"]),
        ("scheduler", words, ["a ruling is 'CONTINUE'"]),
        ("scheduler", counting, ["a repeated call changes later rulings", "a trial that is alone is stopped"]),
        ("scheduler", endless, ["is promoted again and again"]),
        ("scheduler", starving, ["a trial that is alone waits for ever", "the best trial waits at"]),
        ("logger", StartsOnly(), ["I did not expect that"]),
        ("logger", Rewriting(), ["it changes results.jsonl"]),
        ("artifact", Latest(), ["latest.txt is written at every evaluation"]),
        ("artifact", Outside(), ["lies outside the folder of the trial"]),
        ("artifact", Meddling(), ["it leaves D in eval mode"]),
        ("artifact", Dicing(), ["it draws from torch's global generator"]),
        ("plot", NoFigure(), ["mine is str, not a matplotlib Figure"]),
        ("plot", Hasty(), ["is no plain name of a file", "IndexError"]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Sampler | Scheduler | Logger | Artifact | Plot) else "",
)
def test_what_is_broken_is_caught_in_one_line(kind: str, component: Any, reasons: list[str]) -> None:
    found = [verdict.reason or "" for verdict in verdicts(kind, component) if not verdict.ok]
    for reason in reasons:
        assert any(reason in each for each in found), found
    assert all("\n" not in each for each in found)
