"""Searches without Ray and without training, for tests: the package's own objects, called in the order of Tune's loop.

FIDs, divergences and times are formulas of a trial's number and parameters. A driver can be killed at every row: all
objects are dropped, and the next driver has the files. What was on a slot is there again, so that the order of events
is that of a search without a break.
"""

import math
import random
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution
from ray.tune.search import Searcher

from gansearch.config import TrainConfig, TrialConfig
from gansearch.run.ledger import Ledger, TrialState
from gansearch.run.manifest import Options, Plan
from gansearch.run.paths import RunDir
from gansearch.run.rows import Eval, Evaluation, Row, Start, Writer, read
from gansearch.run.space import Space, When
from gansearch.search.health import Health
from gansearch.search.queue import TrialQueue, search_queue
from gansearch.search.ray.callbacks import TrialEvents
from gansearch.search.ray.cluster import Cluster
from gansearch.search.ray.limits import Limits
from gansearch.search.ray.placement import Placement
from gansearch.search.ray.scheduler import RecordingScheduler
from gansearch.search.ray.searcher import QueueSearcher
from gansearch.search.recorder import Recorder
from gansearch.search.shutdown import GracefulShutdown

EVALUATIONS = 9
SPACE = Space(
    base=TrialConfig(train=TrainConfig(max_kimg=0.9, evaluations=EVALUATIONS, batch=100)),
    params={
        "optim.g_lr": FloatDistribution(1e-4, 1e-2, log=True),
        "optim.beta1": FloatDistribution(0.0, 0.9),
        "loss.name": CategoricalDistribution(["bce", "wgan"]),
        "loss.clip": When("loss.name", "wgan", FloatDistribution(0.005, 0.1, log=True)),
    },
    baselines=["dcgan"],
)
INTERVAL = SPACE.base.train.eval_images


def plan_of(folder: Path, *, trials: int | None, seed: int = 3, **options: Any) -> Plan:
    return Plan(RunDir(folder), SPACE, Options(trials=trials, seed=seed, **options))


def evaluation(step: int, fid: float) -> Evaluation:
    measures: dict[str, Any] = dict.fromkeys(
        ("train_seconds", "eval_seconds", "d_loss_real", "d_loss_fake", "g_loss", "images_per_second"), 0.0
    )
    return Evaluation(kimg=step * INTERVAL / 1000, fid=fid, protocol="p", **measures)


class Rows(list[Row]):
    """Rows of a run, written by hand."""

    def start(self, number: int, params: dict[str, Any] | None = None, **fields: Any) -> str:
        own = {"origin": "sampled", "seed": 0} | fields
        self.append(Start(trial_id=f"{number:04d}", number=number, params=params or {}, **own))
        return f"{number:04d}"

    def evals(self, number: int, *fids: float, first: int = 1) -> None:
        for step, fid in enumerate(fids, first):
            self.append(Eval(trial_id=f"{number:04d}", number=number, **vars(evaluation(step, fid))))

    def end(self, number: int, *arguments: Any) -> None:
        self.append(self.ledger[f"{number:04d}"].ended(*arguments))

    @property
    def ledger(self) -> Ledger:
        return Ledger(self)


class FixedCluster(Cluster):
    """A cluster without Ray."""

    def slots_by_node(self) -> dict[str, int]:
        return {"node": self.slots}


def placement_of(slots: int, health: Health) -> Placement:
    return Placement(FixedCluster(1, 0, slots, ()), health, lambda: 0)


def searcher_of(plan: Plan, queue: TrialQueue, recorder: Recorder, slots: int = 1000) -> QueueSearcher:
    """A searcher that hands out trials as long as fewer than `slots` run."""
    health = Health(recorder.ledger, queue)
    limits = Limits(plan, 0, recorder, health, GracefulShutdown())
    return QueueSearcher(queue, recorder, placement_of(slots, health), limits, {"cpus": 1})


class Killed(BaseException):
    """`kill -9`: no handler of the driver sees it."""


class DoomedWriter(Writer):
    """Its driver is killed when a number of rows are on the disk; nothing else of the last one has happened then."""

    rows_left = math.inf

    def append(self, row: Row) -> None:
        super().append(row)
        self.rows_left -= 1
        if not self.rows_left:
            raise Killed


class VirtualSearch:
    """A search on some slots, which share a clock. `finish` works like a user who starts each killed driver again."""

    recorder: Recorder
    ledger: Ledger

    def __init__(self, plan: Plan, slots: int) -> None:
        self.plan, self.clock, self.drivers, self.suggestions = plan, 0.0, 0, 0
        self.slots: list[str | None] = [None] * slots
        self.since: dict[str, tuple[float, int]] = {}  # by trial: when it was handed out, and its evaluations then
        self.journals: list[bytes] = []  # as each driver found it

    def finish(self, *, kill_every: int | None = None, budget: int | None = None) -> "VirtualSearch":
        """Runs drivers until nothing is left to do: each is killed at a row, or ends itself after a number of events.

        Args:
            kill_every: The rows that a driver writes until it is killed.
            budget: The events after which a driver's budget is spent.
        """
        is_over = False
        while not is_over:
            self.drivers += 1
            writer = DoomedWriter(self.plan.run.results)
            writer.rows_left = kill_every or math.inf
            try:
                is_over = self._drive(writer, budget or math.inf)
            except Killed:
                continue
            finally:
                writer.close()
        return self

    @property
    def rows(self) -> list[Row]:
        """The rows on the disk, without their times."""
        return [replace(row, time="2025-01-01T00:00:00+00:00") for row in read(self.plan.run.results)]

    @property
    def proposals(self) -> list[dict[str, Any]]:
        return [row.params for row in self.rows if isinstance(row, Start)]

    def _drive(self, writer: Writer, budget: float) -> bool:
        """Runs one driver; returns whether the search is over."""
        journal = self.plan.run.study_journal
        self.journals.append(journal.read_bytes() if journal.exists() else b"")
        self.ledger = ledger = Ledger(read(self.plan.run.results))
        self.recorder = recorder = Recorder(self.plan, writer, ledger, lambda row, ledger: None)
        recorder.catch_up()
        queue = search_queue(self.plan, ledger)
        self.searcher, self.tune_ids = searcher_of(self.plan, queue, recorder, len(self.slots)), {}
        health = Health(ledger, queue)
        self.events = TrialEvents(recorder, health, placement_of(len(self.slots), health), None)
        self.scheduler = RecordingScheduler(recorder, self.events)
        self.slots = [one if one and ledger[one].is_unfinished else None for one in self.slots]
        while queue.unfinished:
            self._place(self._suggested())
        while (slot := self._next(overdue=True)) is not None:  # rows that the killed driver had yet to write
            self._report(slot)
        while budget > 0:
            while isinstance(found := self._suggested(), dict):
                self._place(found)
            slot = self._next()
            if slot is None:
                assert self._suggested() == Searcher.FINISHED
                break
            self._report(slot)
            budget -= 1
        if budget > 0:
            recorder.end_waiting()
        return budget > 0

    def _suggested(self) -> Any:
        tune_id = f"{self.suggestions}"
        self.suggestions += 1
        found = self.searcher.suggest(tune_id)
        if isinstance(found, dict):
            self.tune_ids[found["trial_id"]] = tune_id
        return found

    def _place(self, config: dict[str, Any]) -> None:
        trial_id = config["trial_id"]
        if trial_id not in self.slots:
            self.slots[self.slots.index(None)] = trial_id
            self.since[trial_id] = self.clock, config["reported_images"] // INTERVAL

    def _next(self, *, overdue: bool = False) -> int | None:
        """Returns the slot that reports next; with `overdue` only one whose time had come when a driver was killed."""
        due = [(self._due(trial_id), slot) for slot, trial_id in enumerate(self.slots) if trial_id]
        if not due or (overdue and min(due)[0] > self.clock):
            return None
        self.clock = min(due)[0]
        return min(due)[1]

    def _due(self, trial_id: str) -> float:
        begun, before = self.since[trial_id]
        trial = self.ledger[trial_id]
        last = min(len(trial.evals) + 1, EVALUATIONS)
        return begun + sum(random.Random(f"{trial_id}/{step}").uniform(0.5, 2) for step in range(before + 1, last + 1))

    def _report(self, slot: int) -> None:
        """The trial on a slot comes to its next evaluation, diverges there, or says that it is done already."""
        trial_id = self.slots[slot]
        assert trial_id is not None
        trial = self.ledger[trial_id]
        step = len(trial.evals) + 1
        result: dict[str, Any] = {"images": trial.images, "done": True}
        if step <= EVALUATIONS:
            result = self._result(trial, step)
        tune_id, config = self.tune_ids[trial_id], {"trial_id": trial_id, "config": SPACE.base}
        tune = SimpleNamespace(trial_id=tune_id, config=config, last_result=result)
        if result["done"]:  # of the last result Tune tells the callbacks only
            self.events.on_trial_result(0, [], tune, result)
            over = True
        else:
            over = self.scheduler.on_trial_result(None, tune, result) == "STOP"
            self.events.on_trial_result(0, [], tune, result)
        if over:
            self.searcher.on_trial_complete(tune_id)
            self.events.on_trial_complete(0, [], tune)
            self.slots[slot] = None

    def _result(self, trial: TrialState, step: int) -> dict[str, Any]:
        if diverges(trial, step):
            return {"diverged": "non-finite loss", "kimg": (step - 0.5) * INTERVAL / 1000, "done": True}
        found = evaluation(step, fid_of(trial.start.params, trial.number, step))
        return {**vars(found), "images": found.images, "node": None, "done": step == EVALUATIONS}


def diverges(trial: TrialState, step: int) -> bool:
    return trial.start.params["optim.g_lr"] > 3e-3 and step > trial.number % 3


def fid_of(params: dict[str, Any], number: int, step: int) -> float:
    """Returns an FID that is best at a rate of 2e-3 and a clip of 0.03, and falls with time, with noise."""
    distance = abs(math.log10(params["optim.g_lr"] / 2e-3)) + params["optim.beta1"]
    distance += abs(math.log10(params["loss.clip"] / 0.03)) if "loss.clip" in params else 0.5
    return 10 + 30 * distance + 40 / step + random.Random(f"{number}:{step}").uniform(0, 5)
