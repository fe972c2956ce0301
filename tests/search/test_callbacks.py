"""How long a trial may give nothing, by a clock of the test's own."""

import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import ActorDiedError, RayTaskError

from gansearch.run.ledger import Ledger
from gansearch.run.rows import Start
from gansearch.search.health import Health
from gansearch.search.queue import TrialQueue
from gansearch.search.ray import callbacks
from gansearch.search.ray.callbacks import TrialEvents
from tests.search.virtual import placement_of

HOUR = 3600


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


class Tune:
    """One trial at Tune, on an actor or without one yet, and the callback that Tune asks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, has_actor: bool, timeout: float | None = None) -> None:
        self.clock, self.killed, self.stopped = Clock(), list[Any](), list[Any]()
        monkeypatch.setattr(callbacks, "time", self.clock)
        monkeypatch.setattr(callbacks, "_kill", self.killed.append)
        ledger = Ledger([Start(trial_id="0000", number=0, params={}, origin="sampled", seed=0)])
        self.queue = TrialQueue()
        health = Health(ledger, self.queue)
        recorder = SimpleNamespace(ledger=ledger, note_failure=lambda trial_id, text: None)
        self.events = TrialEvents(recorder, health, placement_of(1, health), timeout)  # type: ignore[arg-type]
        state = SimpleNamespace(ray_actor="actor" if has_actor else None)
        config = {"trial_id": "0000"}
        self.trial = SimpleNamespace(trial_id="t", temporary_state=state, config=config, is_finished=lambda: False)
        self.step(0)

    def step(self, seconds: float, *, at_once: bool = False) -> None:
        """Lets time pass, in which Tune asks every second, or not at all."""
        end = self.clock.now + seconds
        while self.clock.now < end and not at_once:
            self.clock.now += 1
            self.events.on_step_begin(0, [self.trial])
        self.clock.now = end
        self.events.on_step_begin(0, [self.trial])
        self.events.take_back(self.stopped.append)


def test_a_trial_has_six_hours_for_the_first_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    tune = Tune(monkeypatch, has_actor=True)
    tune.step(6 * HOUR)
    assert tune.killed == []
    tune.step(2)
    assert tune.killed == ["actor"], "once"


def test_time_in_which_the_driver_was_held_up_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    tune = Tune(monkeypatch, has_actor=True, timeout=60)
    tune.step(HOUR, at_once=True)
    tune.step(59)
    assert tune.killed == []
    tune.step(2)
    assert tune.killed == ["actor"]


def test_a_trial_without_a_process_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short `--trial-timeout` says nothing of how long a process takes to start."""
    tune = Tune(monkeypatch, has_actor=False, timeout=5)
    tune.step(14 * 60)
    assert tune.stopped == [] and tune.queue.is_empty
    tune.step(2 * 60)
    assert tune.stopped == [tune.trial] and tune.killed == []
    assert tune.queue.unfinished[0].trial_id == "0000"


def test_a_process_that_can_t_start_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tune = Tune(monkeypatch, has_actor=True)
    text = "Traceback (most recent call last):\n  ^^^^^\nModuleNotFoundError: No module named 'mine'\n"
    file = tmp_path / "error.pkl"
    file.write_bytes(pickle.dumps(ActorDiedError(RayTaskError("__init__", text, "ModuleNotFoundError"))))
    monkeypatch.setattr(callbacks, "process_of", lambda actor: (None, None))
    tune.trial.pickled_error_file = str(file)
    tune.events.on_trial_error(0, [tune.trial], tune.trial)
    assert "its process could not start: ModuleNotFoundError: No module named 'mine'" in caplog.text
    assert tune.queue.unfinished[0].trial_id == "0000", "it is tried again: the trial had not begun"
