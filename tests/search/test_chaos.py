"""A search on a real cluster whose processes are killed and stopped, each in its turn. `benchmarks.chaos` does more."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.chaos.check import check
from benchmarks.chaos.faults import Faults
from benchmarks.chaos.nodes import Nodes
from benchmarks.chaos.process import Driver
from benchmarks.chaos.sleeping import SLOW
from gansearch.run import RunDir
from gansearch.run.rows import Eval, read

pytestmark = pytest.mark.slow

TRIALS = 20


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Nodes]:
    monkeypatch.setenv("RAY_TMPDIR", "")  # what `Nodes` sets is undone
    nodes = Nodes(2)
    yield nodes
    nodes.close()


def test_no_trial_fails_and_no_row_is_lost_whatever_is_killed(nodes: Nodes, tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    more = ["--address", nodes.address, "--gpus-per-trial", "0", "--trial-timeout", "8s"]
    driver = Driver(run.path, *more, "--trials", str(TRIALS))
    slow = run.trials / SLOW
    faults = Faults(nodes, driver, run.trials, random.Random(0))

    def until(fact: Callable[[], object]) -> None:
        while not fact():
            assert not driver.ended(0.01), driver.errors

    def used() -> set[str | None]:
        return {row.node for row in read(run.results) if isinstance(row, Eval)}

    try:
        until(lambda: driver.printed)
        slow.touch()  # a search of trials that take half a second is over before a node has joined a busy machine
        until(faults.start)
        until(faults.stop)
        until(faults.after_end)
        lost = nodes.alive[0]
        nodes.lose(lost)
        nodes.join()
        until(lambda: len(nodes.alive) == 2)
        until(lambda: nodes.alive[-1].node_id in used())
        slow.unlink()
        assert driver.ended(300), "it hangs"
    finally:
        left_behind = driver.close()
    assert driver.process.returncode == 0, driver.errors
    assert check(run, driver.printed, TRIALS).faults(most_repeated=4) == []
    assert left_behind == []
