"""What a search shows of its progress in a pipe."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gansearch.cli.progress import Progress, left_text, range_text
from gansearch.run import Ledger
from gansearch.search.remaining import TimeLeft
from tests.analysis.synthetic_run import decision, evaluation, promoting_rows, start


@pytest.mark.parametrize(
    ("left", "text"),
    [
        (None, "time left: not known yet"),
        (TimeLeft(0.0, 0.0, 0.0), "less than 5 s left"),
        (TimeLeft(12.0, 20.0, 28.0), "about 10 to 30 s left"),
        (TimeLeft(44.0, 80.0, 181.0), "about 40 s to 3 min left"),
        (TimeLeft(57.0, 60.0, 80.0), "about 1 min left"),
        (TimeLeft(185.0, 240.0, 310.0), "about 3 to 5 min left"),
        (TimeLeft(700.0, 720.0, 740.0), "about 10 min left"),
        (TimeLeft(2500.0, 4000.0, 5300.0), "about 40 min to 1.5 h left"),
        (TimeLeft(36000.0, 36000.0, 200000.0), "about 10 h to 2 days left"),
        (TimeLeft(130.0, 130.0, 130.0, by_budget=True), "about 2 min left until the budget is spent"),
    ],
)
def test_the_time_left_is_a_range_in_plain_words(left: TimeLeft | None, text: str) -> None:
    assert left_text(left) == text


@given(low=st.floats(0, 1e7), factor=st.floats(1, 100))
def test_a_range_says_about_what_it_is(low: float, factor: float) -> None:
    sizes = {"s": 1, "min": 60, "h": 3600, "days": 86400}
    words = range_text(low, low * factor).split()
    ends = [words[0], words[-2]]
    units = [words[1] if words[1] in sizes else words[-1], words[-1]]
    for end, unit, seconds in zip(ends, units, (low, low * factor), strict=True):
        assert abs(float(end) * sizes[unit] - seconds) <= max(5.0, 0.51 * seconds)


def test_an_evaluation_is_one_line_with_the_time_left(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    progress, ledger = Progress(lambda _: 8, 57.6, lambda: TimeLeft(185.0, 240.0, 310.0)), Ledger()
    for row in (start(0), evaluation(0, 6.4, 50.0), decision(0, 6.4, "waits", 50.0, 40.0, 9)):
        ledger.add(row)
        progress.listen(row, ledger)
    evaluated, decided = caplog.messages
    assert evaluated.endswith("lowest so far 50.00 (trial 0000); about 3 to 5 min left")
    assert "left" not in decided


def test_a_decision_is_one_line_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    progress, ledger = Progress(lambda _: None, 57.6, lambda: None), Ledger()
    for row in promoting_rows():
        ledger.add(row)
        progress.listen(row, ledger)
    decided = [line for line in caplog.messages if "cut" in line or "the first trial there" in line]
    assert len(decided) == sum(row.event == "decision" for row in promoting_rows())
    assert (
        "trial 1 (0001, sampled): waiting at 6.4 kimg, FID 60.00, best 60.00 (waits at 6.4 kimg: FID 60.00, cut"
        in (decided[1])
    )
