"""The callback of Tune that records what trials report, and what becomes of those that fail or hang."""

import logging
import os
import pickle
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import ray
from ray.tune import Callback
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from gansearch.errors import one_line
from gansearch.run.rows import Cause, Evaluation
from gansearch.search.health import Failure, Health
from gansearch.search.ray.asking import is_alive
from gansearch.search.ray.placement import Placement, process_of
from gansearch.search.ray.trainable import TrialFailure
from gansearch.search.recorder import Recorder
from gansearch.training.storage import PATIENCE

logger = logging.getLogger(__name__)

_TIMES_THE_LONGEST = 10  # as long as the longest interval between two evaluations
_FIRST_TIMEOUT = 6 * 3600  # seconds, as long as no interval is known
_STALL = 30  # seconds in which Tune asks nothing: the driver itself was held up
_LEAST_TIMEOUT = 1.5 * PATIENCE  # seconds: a trial may wait for its storage as long as the storage is waited for


@dataclass
class _Running:
    """A trial at Tune: what Tune knows it by, whether it has begun, and since when nothing came from it."""

    trial: Any
    since: float
    has_begun: bool = False
    timeout: str | None = None


def evaluation_of(result: dict[str, Any]) -> Evaluation:
    """Returns the evaluation in a result of `GANTrial`."""
    return Evaluation(**{field.name: result[field.name] for field in fields(Evaluation)})


class TrialEvents(Callback):
    """Passes Tune's events to the recorder. A trial from which nothing comes for too long loses its process.

    Args:
        recorder: Records what happens to trials.
        health: Judges the failures.
        placement: Knows the nodes.
        timeout: Seconds between two evaluations of a trial; None for ten times the longest that was seen.
    """

    def __init__(self, recorder: Recorder, health: Health, placement: Placement, timeout: float | None) -> None:
        self._recorder, self._health, self._placement, self._timeout = recorder, health, placement, timeout
        self._running: dict[str, _Running] = {}  # by Tune's id
        self._seen = 0  # trials of Tune
        self._stepped = time.monotonic()

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        """An actor is there, and takes the first step of the trial now."""
        running = self._of(trial)
        running.has_begun, running.since = True, time.monotonic()
        self._health.began(trial.config["trial_id"])

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **_: Any) -> None:
        running, trial_id = self._of(trial), trial.config["trial_id"]
        running.since = time.monotonic()
        for text in result.get("warnings", ()):
            logger.warning("trial %s: %s", trial_id, text)
        if "fid" in result:  # of the last evaluation Tune does not tell the scheduler
            self._recorder.evaluation(trial_id, evaluation_of(result), result["node"])
            self._health.evaluated(trial_id, result["node"])
            self._end_blamed()

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        self._running.pop(trial.trial_id, None)
        trial_id, result = trial.config["trial_id"], trial.last_result or {}
        self._health.over(trial_id)
        if "diverged" in result:
            self._recorder.end(trial_id, "diverged", result["diverged"], result["kimg"])
        elif "infeasible" in result:
            reason = result["infeasible"]
            self._recorder.end(trial_id, "infeasible", reason)
            logger.warning("trial %s is infeasible: %s", trial_id, reason)
            failure = Failure(trial_id=trial_id, cause="error", reason=reason, node=result["node"])
            self._health.infeasible(failure, self._placement.room())
        elif result.get("images", 0) >= trial.config["config"].train.max_images:
            self._recorder.end(trial_id, "completed", None)
        else:
            self._recorder.end_if_stopped(trial_id)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        running = self._of(trial)
        del self._running[trial.trial_id]
        failure, text = self._failure_of(trial, running)
        trial_id = failure.trial_id
        if failure.cause == "disk full":
            self._recorder.fault = self._recorder.fault or OSError(failure.reason)
            return  # no end is recorded, so a resume continues the trial
        self._recorder.note_failure(trial_id, text)
        self._health.failed(failure, self._placement.room())
        what = "waits until another one comes through" if self._health.is_accused(trial_id) else "is tried again"
        logger.warning("trial %s fails and %s: %s", trial_id, what, failure.reason)
        self._end_blamed()

    def _end_blamed(self) -> None:
        for failure in self._health.blamed():
            logger.warning("trial %s has failed: %s", failure.trial_id, failure.reason)
            self._recorder.end(failure.trial_id, "failed", failure.reason, cause=failure.cause)

    def settle(self) -> None:
        """Records what becomes of trials that have failed too often, where nothing else is left to train."""
        self._health.settle()
        self._end_blamed()

    def _failure_of(self, trial: Any, running: _Running) -> tuple[Failure, str]:
        """Returns what has failed, and the whole text of it."""
        error, trial_id = _error_of(trial), trial.config["trial_id"]
        found = getattr(error, "cause", None)
        if isinstance(found, TrialFailure):
            failure = Failure(trial_id=trial_id, cause=found.cause, reason=found.reason, node=found.node)
            return failure, found.text
        node, _ = process_of(getattr(error, "actor_id", None))
        cause: Cause = "lost"
        reason = "its process was lost"
        if running.timeout is not None:
            cause, reason = "timeout", running.timeout
        elif node is not None and not is_alive(node):
            cause, reason = "node", "its node was lost"
        elif getattr(error, "actor_init_failed", False):
            cause, reason = "error", f"its process could not start: {str(error).strip().splitlines()[-1]}"
        failure = Failure(trial_id=trial_id, cause=cause, reason=reason, node=node, has_begun=running.has_begun)
        return failure, f"{reason}: {one_line(error)}"

    def on_step_begin(self, iteration: int, trials: list[Any], **_: Any) -> None:
        """Kills the processes of trials from which nothing came for too long."""
        for trial in trials[self._seen :]:
            if not trial.is_finished():
                self._of(trial)
        self._seen = len(trials)
        self._forgive_a_stall()
        limit = self._limit
        for running in self._late(limit):
            actor = running.trial.temporary_state.ray_actor
            if actor is not None and running.timeout is None:
                running.timeout = f"no evaluation came within {limit:.0f} s"
                _kill(actor)

    def _forgive_a_stall(self) -> None:
        """Counts no time in which the driver was held up, by a disk or a signal: results may wait for it in line."""
        now = time.monotonic()
        stalled, self._stepped = now - self._stepped, now
        if stalled > _STALL:
            for running in self._running.values():
                running.since += stalled

    def _late(self, limit: float) -> list[_Running]:
        now = time.monotonic()
        return [running for running in self._running.values() if now > running.since + limit]

    def take_back(self, stop: Callable[[Any], None]) -> None:
        """Stops the trials that have waited for a process for too long, and puts them into the queue again.

        Their node was lost while they waited, hangs, or is the only one that they avoid. An interval that is short says
        nothing of how long a process takes to start.
        """
        limit = max(_LEAST_TIMEOUT, self._limit)
        for trial in [running.trial for running in self._late(limit)]:
            if trial.temporary_state.ray_actor is None:
                stop(trial)
                trial_id = trial.config["trial_id"]
                logger.warning("trial %s has got no process within %.0f s: it is tried again", trial_id, limit)
                self._health.put_back(trial_id)

    def _of(self, trial: Any) -> _Running:
        return self._running.setdefault(trial.trial_id, _Running(trial, time.monotonic()))

    @property
    def _limit(self) -> float:
        """The seconds that a trial may take for an evaluation."""
        if self._timeout is not None:
            return self._timeout
        longest = self._recorder.ledger.longest_interval
        return max(_LEAST_TIMEOUT, _TIMES_THE_LONGEST * longest) if longest else _FIRST_TIMEOUT


def _error_of(trial: Any) -> Exception:
    """Returns what Tune has caught, which it hands to no callback, but has just written to a file."""
    if trial.pickled_error_file is None:
        return RuntimeError(Path(trial.error_file).read_text())
    return pickle.loads(Path(trial.pickled_error_file).read_bytes())


def _kill(actor: Any) -> None:
    """Kills an actor: by Ray, and by a task on its node, since a process that is stopped does not hear Ray."""
    node, pid = process_of(actor._actor_id.hex())
    ray.kill(actor)
    if node is not None and pid:
        there = NodeAffinitySchedulingStrategy(node, soft=False)
        ray.remote(_kill_process).options(num_cpus=0, scheduling_strategy=there).remote(pid)


def _kill_process(pid: int) -> None:
    with suppress(ProcessLookupError):  # Ray was faster
        os.kill(pid, signal.SIGKILL)
