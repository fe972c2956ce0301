"""The project's own searcher, scheduler, recorder and study, in a run directory that is removed at the end."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.search_replay.problem import Problem
from benchmarks.search_replay.simulate import Method, Task
from benchmarks.search_replay.tune import Tune
from gansearch.run.manifest import Plan
from gansearch.run.paths import RunDir
from gansearch.run.rows import Writer
from gansearch.search.health import Health
from gansearch.search.planning import plan_search
from gansearch.search.queue import search_queue
from gansearch.search.ray.callbacks import TrialEvents
from gansearch.search.ray.cluster import Cluster
from gansearch.search.ray.limits import Limits
from gansearch.search.ray.placement import Placement
from gansearch.search.ray.scheduler import RecordingScheduler
from gansearch.search.ray.searcher import QueueSearcher
from gansearch.search.recorder import Recorder
from gansearch.search.search import Search

_MEMORY = Path("/dev/shm")
_TRIALS = 10**6  # never proposed: the time ends a search


@contextmanager
def ours(problem: Problem, seed: int, workers: int, choices: Mapping[str, Any]) -> Iterator[Method]:
    """Yields a search as `gansearch start` would run it.

    Args:
        problem: What is searched.
        seed: The seed of the search.
        workers: How many trials run at once.
        choices: `sampler` and `scheduler`, their options by dotted path, and fields of `gansearch.run.Options`.
    """
    with run_directory() as run:
        names = {name: value for name, value in choices.items() if "." not in name}
        options = {path: value for path, value in choices.items() if "." in path}
        plan = plan_search(problem.space, run, options, **{"trials": _TRIALS, "seed": seed, **names})
        with opened(plan, workers) as method:
            yield method


class _Workers(Cluster):
    """A cluster without Ray."""

    def slots_by_node(self) -> dict[str, int]:
        return {"node": self.slots}


@contextmanager
def opened(plan: Plan, workers: int) -> Iterator[Tune]:
    """Yields the search of a plan."""
    search = Search(plan, lambda row, ledger: None)
    with closing(Writer(plan.run.results)) as writer:
        recorder = search.recorder = Recorder(plan, writer, search.ledger, lambda row, ledger: None)
        search.queue = search_queue(plan, search.ledger)
        health = Health(search.ledger, search.queue)
        limits = Limits(plan, 0.0, recorder, health, search.shutdown)
        placement = Placement(_Workers(1, 0, workers, ()), health, search.queue.count)
        searcher = QueueSearcher(search.queue, recorder, placement, limits, {})
        interval = plan.space.base.train.eval_images

        def task(_: str, config: dict[str, Any]) -> Task:
            trial = recorder.ledger[config["trial_id"]]
            return Task(trial.trial_id, trial.start.params, config["reported_images"] // interval)

        events = TrialEvents(recorder, health, placement, None)
        yield Tune(searcher, RecordingScheduler(recorder, events), task, interval, workers, [events])


@contextmanager
def run_directory() -> Iterator[RunDir]:
    """Yields a run directory, in memory where the system has such a folder: each row is flushed to the disk."""
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        yield RunDir(Path(folder))
