"""Samplers, schedulers, loggers, artifacts and plots hold their contracts, and broken ones are caught."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, get_args

import optuna
import pytest
import torch
from matplotlib.figure import Figure
from optuna.samplers import BaseSampler, RandomSampler

from gansearch import registry
from gansearch.analysis.plots.base import Plot
from gansearch.contracts.base import Property, verdicts
from gansearch.run import Run
from gansearch.run.rows import Start
from gansearch.search.loggers.base import Listener, Logger
from gansearch.search.loggers.csv import CSV
from gansearch.search.samplers.base import Sampler
from gansearch.search.samplers.imported import adapt
from gansearch.search.schedulers.base import Policy, Scheduler
from gansearch.training.artifacts.base import Artifact, File, Snapshot
from tests.contracts.holding import cases, hold

KINDS: tuple[registry.Kind, ...] = ("sampler", "scheduler", "logger", "artifact", "plot")


def built(kind: registry.Kind) -> dict[str, Any]:
    return {name: cls() for name, cls in registry.classes(kind).items()}


@pytest.mark.parametrize(("each", "component"), [case for kind in KINDS for case in cases(kind, built(kind))])
def test_a_component_holds_its_contract(each: Property, component: Any) -> None:
    hold(each, component)


def test_all_kinds_are_held_somewhere() -> None:
    assert {*KINDS, *registry.SECTIONS} == set(get_args(registry.Kind))


class MedianStopping(Scheduler):
    """A scheduler of another kind: a trial goes on while its FID is not above the median of those seen there."""

    def policy(self, rungs: Sequence[int], eta: int) -> Policy:
        seen: dict[int, dict[str, float]] = {}

        def goes_on(trial_id: str, images: int, fid: float) -> bool:
            at = seen.setdefault(images, {})
            at.setdefault(trial_id, fid)
            return sorted(at.values())[len(at) // 2] >= fid

        return goes_on


class Everything(Scheduler):
    def policy(self, rungs: Sequence[int], eta: int) -> Policy:
        return lambda trial_id, images, fid: True


@pytest.mark.parametrize("scheduler", [MedianStopping(), Everything()])
def test_schedulers_of_another_kind_hold_it(scheduler: Scheduler) -> None:
    assert [verdict for verdict in verdicts("scheduler", scheduler) if not verdict.ok] == []


@pytest.mark.parametrize("cls", [optuna.samplers.TPESampler, optuna.samplers.GPSampler])
def test_optuna_s_samplers_hold_it(cls: type[BaseSampler]) -> None:
    made = adapt(cls)
    assert made is not None
    assert [verdict for verdict in verdicts("sampler", made()) if not verdict.ok] == []


class Unseeded(Sampler):
    def build(self, seed: int) -> BaseSampler:
        return RandomSampler()


class Repeating(Sampler):
    def build(self, seed: int) -> BaseSampler:
        return RandomSampler(seed=7)


class Coin(Scheduler):
    def policy(self, rungs: Sequence[int], eta: int) -> Policy:
        return lambda trial_id, images, fid: random.random() < 0.5


class Words(Scheduler):
    def policy(self, rungs: Sequence[int], eta: int) -> Policy:
        return lambda trial_id, images, fid: "CONTINUE"  # type: ignore[return-value]


class Counting(Scheduler):
    def policy(self, rungs: Sequence[int], eta: int) -> Policy:
        calls: list[str] = []

        def goes_on(trial_id: str, images: int, fid: float) -> bool:
            calls.append(trial_id)
            return len(calls) % 3 != 0

        return goes_on


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
        ("scheduler", Coin(), ["the second time it decides otherwise"]),
        ("scheduler", Words(), ["a decision is 'CONTINUE'"]),
        ("scheduler", Counting(), ["a repeated call changes later decisions", "a trial that is alone is stopped"]),
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
