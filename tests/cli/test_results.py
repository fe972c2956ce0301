"""The last line and the exit code of a search in which trials failed."""

from typing import Any

import pytest

from gansearch.cli.parser import OK, SOME_FAILED
from gansearch.cli.results import failed_code
from gansearch.run import Run, load
from tests.analysis.synthetic_run import make_run
from tests.search.virtual import Rows

LOST = ("failed", "its process was lost", None, "lost")
FINAL = {"parent": "0000", "relation": "final", "origin": "final", "seed": 1}
RETRY = {"parent": "0000", "relation": "retry"}


def run_of(tmp_path: Any, *trials: tuple[tuple[Any, ...], dict[str, Any]]) -> Run:
    """A run of trials that have each an end and fields of a start row."""
    rows = Rows()
    for number, (end, fields) in enumerate(trials):
        rows.start(number, **fields)
        rows.end(number, *end)
    return load(make_run(tmp_path / "run", rows))


@pytest.mark.parametrize(
    ("trials", "failed"),
    [
        ([(("completed",), {})], None),
        ([(LOST, {}), (("diverged",), {})], "1 trial failed (0000: its process was lost)"),
        ([(LOST, {}), (LOST, {})], "2 trials failed (0001: "),
        ([(LOST, {}), (("completed",), RETRY)], None),
        ([(LOST, {}), (LOST, RETRY)], "1 trial failed (0001: "),
        ([(("completed",), {}), (LOST, FINAL)], None),
    ],
)
def test_a_search_says_what_failed_and_was_not_retried(
    trials: list[Any], failed: str | None, tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    code = failed_code(run_of(tmp_path, *trials))
    assert code == (OK if failed is None else SOME_FAILED)
    if failed is not None:
        assert failed in caplog.text and caplog.text.strip().endswith("resume " + str(tmp_path / "run --retry-failed"))


def test_finals_count_with_the_last_of_each_seed(tmp_path: Any, caplog: pytest.LogCaptureFixture) -> None:
    run = run_of(tmp_path, (LOST, {}), (LOST, FINAL), (("completed",), FINAL), (LOST, FINAL | {"seed": 2}))
    assert failed_code(run, "analyze.py finals run") == SOME_FAILED
    assert "1 trial failed (0003: its process was lost); to try them again: analyze.py finals run" in caplog.text
