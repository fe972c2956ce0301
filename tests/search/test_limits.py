"""What a budget still allows: no trial is begun that would come to no rung. No Ray is started."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from gansearch.run.ledger import Ledger
from gansearch.run.rows import Evaluation, Writer
from gansearch.search.health import Health
from gansearch.search.queue import search_queue
from gansearch.search.ray.limits import Limits
from gansearch.search.recorder import Recorder
from gansearch.search.shutdown import GracefulShutdown
from tests.search.virtual import evaluation, plan_of

HOUR = 3600.0


@contextmanager
def limits_of(folder: Path, seconds: float, gpus: float = 1.0, **budget: Any) -> Iterator[Limits]:
    """Limits of a search whose one evaluation took so long. The first rung of its trials is the third evaluation."""
    plan = plan_of(folder, trials=None, first_rung=3, **budget)
    ledger = Ledger()
    queue = search_queue(plan, ledger)
    with closing(Writer(plan.run.results)) as writer:
        recorder = Recorder(plan, writer, ledger, lambda row, ledger: None)
        proposal = queue.next_proposal()
        assert proposal is not None
        started = recorder.start(proposal)
        assert started is not None
        measured = vars(evaluation(1, 5.0)) | {"train_seconds": seconds}
        recorder.evaluation(started[0].trial_id, Evaluation(**measured))
        yield Limits(plan, gpus, recorder, Health(ledger, queue), GracefulShutdown())


@pytest.mark.parametrize(
    ("hours", "interval", "new"),
    [(0.5, False, False), (1.5, True, False), (2.9, True, False), (3.1, True, True)],
)
def test_a_trial_begins_where_the_time_suffices_for_its_first_rung(
    hours: float, interval: bool, new: bool, tmp_path: Path
) -> None:
    with limits_of(tmp_path, HOUR, time_budget=hours * HOUR) as limits:
        assert (limits.allow_interval(0), limits.allow_new(0)) == (interval, new)
        assert not limits.stop_all(), "what trains goes on"
        assert (limits.reached is None) == new


@pytest.mark.parametrize(
    ("hours", "running", "interval", "new"),
    [
        (1.9, 0, False, False),
        (2.1, 0, True, False),
        (4.1, 0, True, True),
        (4.1, 1, True, False),
        (2.9, 1, False, False),
    ],
)
def test_gpu_hours_are_shared_with_the_trials_that_run(
    hours: float, running: int, interval: bool, new: bool, tmp_path: Path
) -> None:
    """One hour of the budget is spent already."""
    with limits_of(tmp_path, HOUR, gpu_hours=hours) as limits:
        assert (limits.allow_interval(running), limits.allow_new(running)) == (interval, new)


def test_a_spent_budget_stops_what_trains(tmp_path: Path) -> None:
    with limits_of(tmp_path, HOUR, gpu_hours=1.0) as limits:
        assert limits.stop_all()
        assert limits.reached == "the budget of GPU hours is spent"


def test_a_large_budget_lets_everything_begin(tmp_path: Path) -> None:
    with limits_of(tmp_path, HOUR, gpu_hours=1e7) as limits:
        assert limits.allow_new(1000) and limits.reached is None and not limits.stop_all()
