"""What a search shows of its progress in a pipe."""

import logging

import pytest

from gansearch.cli.progress import Progress
from gansearch.run import Ledger
from tests.analysis.synthetic_run import decision, evaluation, promoting_rows, start


def test_a_trial_that_waits_leaves_nothing_to_do_until_it_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Of eight trials seven wait after 70 s, so the eighth takes as long as one of them."""
    caplog.set_level(logging.INFO)
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    progress, ledger = Progress(lambda _: 8, 57.6), Ledger()
    for number in range(7):
        for row in (start(number), evaluation(number, 6.4, 50.0), decision(number, 6.4, "waits", 50.0, 40.0, 9)):
            now += 10 if row.event == "decision" else 0
            ledger.add(row)
            progress.listen(row, ledger)
    for row in (start(7), evaluation(7, 6.4, 60.0)):
        ledger.add(row)
        progress.listen(row, ledger)
    assert caplog.messages[-1].endswith("lowest so far 50.00 (trial 0000); about 9 s left")


def test_a_decision_is_one_line_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    progress, ledger = Progress(lambda _: None, 57.6), Ledger()
    for row in promoting_rows():
        ledger.add(row)
        progress.listen(row, ledger)
    decided = [line for line in caplog.messages if "cut" in line or "the first trial there" in line]
    assert len(decided) == sum(row.event == "decision" for row in promoting_rows())
    assert (
        "trial 1 (0001, sampled): waiting at 6.4 kimg, FID 60.00, best 60.00 (waits at 6.4 kimg: FID 60.00, cut"
        in (decided[1])
    )
