"""The rows of a run: what is written is read, and what is no valid row is left out with one warning."""

import json
import logging
import math
import random
import signal
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gansearch.config import MOST_KIMG
from gansearch.errors import UserError
from gansearch.run import Ledger
from gansearch.run.rows import Decision, End, Eval, Row, Start, Writer, read, to_json

TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
LENGTH = st.floats(0, MOST_KIMG)
MEASURES = ("fid", "train_seconds", "eval_seconds", "d_loss_real", "d_loss_fake", "g_loss", "images_per_second")
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
IDS = st.integers(0, 10**6).map("{:04d}".format)
STARTS: dict[str, Any] = {
    "params": st.dictionaries(TEXT, NUMBER | st.integers() | st.booleans() | TEXT | st.none()),
    "origin": TEXT,
    "seed": st.integers(0),
}
EVALS: dict[str, Any] = {
    "protocol": TEXT,
    "node": st.none() | TEXT,
    "kimg": LENGTH,
    **dict.fromkeys(MEASURES, NUMBER),
}
DECISIONS: dict[str, Any] = {
    "kimg": LENGTH,
    "verdict": st.sampled_from(["goes on", "waits", "stops"]),
    "fid": st.none() | NUMBER,
    "cut": st.none() | NUMBER,
    "compared": st.integers(0),
}
ENDS: dict[str, Any] = {
    "status": st.sampled_from(["completed", "stopped", "diverged", "infeasible", "failed"]),
    "best_fid": st.none() | NUMBER,
    "best_kimg": st.none() | LENGTH,
    "kimg": LENGTH,
    "reason": st.none() | TEXT,
}


@st.composite
def rows_of(draw: st.DrawFn) -> Row:
    """Any row that the schema allows."""
    kind, fields = draw(st.sampled_from([(Start, STARTS), (Eval, EVALS), (Decision, DECISIONS), (End, ENDS)]))
    trial_id, time = draw(IDS), draw(st.datetimes(timezones=ZONES)).isoformat()
    own = {name: draw(value) for name, value in fields.items()}
    if kind is Start and draw(st.booleans()):
        own |= {"parent": draw(IDS), "relation": draw(st.sampled_from(["retry", "continuation", "final"]))}
    return kind(trial_id=trial_id, number=int(trial_id), time=time, **own)


ROWS = rows_of()


def start(number: int = 0, **changes: Any) -> Start:
    fields: dict[str, Any] = {
        "trial_id": f"{number:04d}",
        "number": number,
        "params": {},
        "origin": "sampled",
        "seed": 0,
    }
    return Start(**fields | changes)


def evaluation(number: int, kimg: float, fid: float) -> Eval:
    zeros: dict[str, Any] = dict.fromkeys(MEASURES, 0.0) | {"fid": fid}
    return Eval(trial_id=f"{number:04d}", number=number, kimg=kimg, protocol="p", **zeros)


def line_of(row: Row) -> bytes:
    return to_json(row).encode()


def written(path: Path, rows: list[Row]) -> bytes:
    with closing(Writer(path)) as writer:
        for row in rows:
            writer.append(row)
    return path.read_bytes()


@given(rows=st.lists(ROWS, max_size=6))
def test_rows_come_back_as_they_were(rows: list[Row], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("rows") / "results.jsonl"
    content = written(path, rows)
    assert content.count(b"\n") == len(rows)
    assert read(path) == rows
    assert written(path, []) == content


@given(row=ROWS, data=st.data())
def test_a_torn_row_is_left_out_then_cut_off(
    row: Row, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("torn") / "results.jsonl"
    whole = written(path, [start(0), start(1)])
    torn = line_of(row)
    path.write_bytes(whole + torn[: data.draw(st.integers(1, len(torn) - 1))])
    assert [row.number for row in read(path)] == [0, 1]
    assert written(path, []) == whole
    assert written(path, [row]).startswith(whole)
    assert read(path)[2:] == [row]


def test_what_is_no_row_is_left_out_with_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "results.jsonl"
    lines = [
        line_of(start(0)),
        b"{",
        b"null",
        b'{"event": "start"}',
        b'{"event": "unknown"}',
        b"\xff",
        line_of(start(1)),
    ]
    path.write_bytes(b"\n".join(lines))
    for _ in range(2):
        assert [row.number for row in read(path)] == [0, 1]
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.message.startswith(f"{path}: left out what is no whole row (line 2: Invalid JSON")
    assert record.message.endswith(", and 4 more lines)") and "\n" not in record.message


TIME = "2025-01-01T00:00:00.000+00:00"  # a fixed one: lines are names of tests


def changed(row: Row, **changes: Any) -> bytes:
    """A row as a line, with fields changed; those that are `...` are taken away."""
    fields = json.loads(to_json(row)) | {"time": TIME} | changes
    return json.dumps({name: value for name, value in fields.items() if value is not ...}).encode()


START, EVAL, END = start(0), evaluation(0, 6.4, 50.0), End(
    trial_id="0000", number=0, status="failed", best_fid=None, best_kimg=None, kimg=0.0, reason=None
)  # fmt: skip


@pytest.mark.parametrize(
    ("line", "field"),
    [
        (changed(EVAL, fid="50.0"), "fid"),
        (changed(EVAL, fid=math.nan), "fid"),
        (changed(EVAL, fid=math.inf), "fid"),
        (changed(EVAL, fid=None), "fid"),
        (changed(EVAL, fid=True), "fid"),
        (changed(EVAL, fid=...), "fid"),
        (changed(EVAL, kimg=-1.0), "kimg"),
        (changed(EVAL, number=True), "number"),
        (changed(EVAL, number=-1), "number"),
        (changed(EVAL, number="0"), "number"),
        (changed(EVAL, protocol=7), "protocol"),
        (changed(EVAL, trial_id="../../../victim"), "trial_id"),
        (changed(EVAL, trial_id="0000/.."), "trial_id"),
        (changed(EVAL, trial_id="0000\n"), "trial_id"),
        (changed(EVAL, trial_id="000"), "trial_id"),
        (changed(EVAL, trial_id="٠٠٠٠"), "trial_id"),
        (changed(EVAL, trial_id=0), "trial_id"),
        (changed(EVAL, colour="red"), "colour"),
        (changed(EVAL, time="2025-01-01T00:00:00"), "time"),
        (changed(EVAL, time="2025-02-30T00:00:00+00:00"), "time"),
        (changed(EVAL, time="yesterday"), "time"),
        (changed(EVAL, number=1), "trial 0000 has the number 1"),
        (changed(EVAL, event="begin"), "event"),
        (changed(START, parent="..", relation="retry"), "parent"),
        (changed(START, relation="copy"), "relation"),
        (changed(START, params=[]), "params"),
        (changed(START, seed=1.5), "seed"),
        (changed(END, status="lost"), "status"),
        (changed(END, best_fid=math.nan), "best_fid"),
    ],
)
def test_the_schema_is_strict(line: bytes, field: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "results.jsonl"
    path.write_bytes(b"\n".join([line_of(start(1)), line, line_of(evaluation(1, 6.4, 50.0))]))
    assert [row.number for row in read(path)] == [1, 1]
    (record,) = caplog.records
    assert f"(line 2: {field}" in record.message or f"'{field}'" in record.message


def test_the_rows_that_the_changes_start_from_are_valid(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_bytes(b"\n".join(changed(row) for row in (START, EVAL, END)))
    assert read(path) == [replace(row, time=TIME) for row in (START, EVAL, END)]


def test_a_row_can_be_read_as_soon_as_it_is_appended(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with closing(Writer(path)) as writer:
        for number in range(3):
            writer.append(start(number))
            assert [row.number for row in read(path)] == list(range(number + 1))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_no_row(value: float) -> None:
    with pytest.raises(ValidationError, match="finite number"):
        evaluation(0, 1.0, value)


HOLD = """
import sys
from pathlib import Path
from gansearch.run.rows import Start, Writer
writer = Writer(Path(sys.argv[1]))
print("open", flush=True)
number = 0
while True:
    params = {"x": "y" * 3000}
    writer.append(Start(trial_id=f"{number:04d}", number=number, params=params, origin="sampled", seed=0))
    number += 1
"""


def _writing(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "open\n"
    return process


def test_a_second_writer_is_refused_while_the_first_lives(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with _writing(path) as process:
        try:
            with pytest.raises(UserError, match="being written by another process"):
                Writer(path)
        finally:
            process.kill()
    written(path, [])  # its lock has died with it


def test_a_killed_writer_leaves_whole_rows(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    rng = random.Random(0)
    seen = 0
    for _ in range(3):
        with _writing(path) as process:
            time.sleep(rng.uniform(0.01, 0.1))
            process.send_signal(signal.SIGKILL)
        content = path.read_bytes()
        rows = read(path)
        assert content.count(b"\n") <= len(rows) <= content.count(b"\n") + 1
        whole = content[: content.rfind(b"\n") + 1]
        assert written(path, [start(7)])[: len(whole)] == whole
        assert len(read(path)) > seen
        seen = len(read(path))


def test_the_ledger_takes_every_row_once() -> None:
    first = Ledger([start(0), start(1), evaluation(0, 1.0, 9.0), evaluation(0, 2.0, 5.0)])
    known: list[Row] = [start(0, origin="again"), evaluation(0, 2.0, 1.0), evaluation(0, 1.0, 1.0)]
    assert all(first.is_duplicate(row) for row in known)
    new: list[Row] = [start(2), evaluation(0, 3.0, 1.0), evaluation(1, 1.0, 1.0), first["0000"].ended("stopped")]
    assert not any(first.is_duplicate(row) for row in new)
    for row in known:
        first.add(row)
    assert [row.fid for row in first["0000"].evals] == [9.0, 5.0]
    assert first["0000"].start.origin == "sampled"
    first.add(first["0000"].ended("completed"))
    assert first.is_duplicate(evaluation(0, 9.0, 0.1)) and first.is_duplicate(first["0000"].ended("failed"))
    assert first["0000"].status == "completed"
    assert list(first) == ["0000", "0001"]


def test_the_state_of_a_trial_follows_from_the_rows() -> None:
    ledger = Ledger([start(0), evaluation(0, 1.0, 5.0), evaluation(0, 2.0, 3.0), evaluation(0, 3.0, 3.0), start(1)])
    trial, fresh = ledger["0000"], ledger["0001"]
    assert trial.best is not None and (trial.best.fid, trial.best.kimg) == (3.0, 2.0)  # the earlier of two equal
    assert (trial.kimg, trial.status, fresh.kimg, fresh.best) == (3.0, "running", 0.0, None)
    end = trial.ended("diverged", "a reason", 3.2)
    assert (end.best_fid, end.best_kimg, end.kimg, end.reason) == (3.0, 2.0, 3.2, "a reason")
    end = fresh.ended("failed")
    assert (end.best_fid, end.best_kimg, end.kimg) == (None, None, 0.0)


@pytest.mark.parametrize("name", ["2", "02", "0002", "00002"])
def test_a_trial_is_found_with_or_without_leading_zeros(name: str) -> None:
    assert Ledger([start(0), start(2)]).find(name).number == 2


@pytest.mark.parametrize(
    ("name", "hint"), [("1", "unknown trial '0001'; did you mean 0"), ("two", "known: 0000, 0002"), ("-2", "0002")]
)
def test_an_unknown_trial_is_refused_with_those_that_are_there(name: str, hint: str) -> None:
    with pytest.raises(UserError, match=hint):
        Ledger([start(0), start(2)]).find(name)


def test_the_best_trial_is_the_first_with_the_lowest_fid() -> None:
    assert Ledger([start(0)]).best is None
    rows = [start(n) for n in range(3)]
    scored = [evaluation(1, 1.0, 4.0), evaluation(2, 1.0, 4.0), evaluation(0, 1.0, 7.0), evaluation(0, 2.0, 4.0)]
    best = Ledger([*rows, *scored]).best
    assert best is not None and best.trial_id == "0001", "of equal ones the faster, then the first"


@given(
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["start", "final", "eval"]), st.integers(1, 4)), max_size=30)
)
def test_what_a_ledger_keeps_up_to_date_is_what_its_trials_say(events: list[tuple[int, str, int]]) -> None:
    ledger = Ledger()
    for number, kind, value in events:
        if kind == "eval":
            ledger.add(replace(evaluation(number, value, 5.0 - value), train_seconds=10.0 * value, eval_seconds=1.0))
        else:
            ledger.add(start(number, **{"parent": "0000", "relation": "final"} if kind == "final" else {}))
    trials = sorted(ledger.values(), key=lambda trial: trial.number)
    found = [(row.fid, row.kimg, trial.number) for trial in trials if not trial.is_final for row in trial.evals]
    assert ledger.num_searched == len(found)
    assert (ledger.best.number if ledger.best else None) == (min(found)[2] if found else None)
    numbers = [*(trial.number for trial in trials), *ledger.without_start.values()]
    assert ledger.next_number == max(numbers, default=-1) + 1
    seconds = sum(row.train_seconds + row.eval_seconds for one in trials if not one.is_final for row in one.evals)
    assert ledger.gpu_hours(0.5) == pytest.approx(0.5 * seconds / 3600)


@pytest.mark.parametrize(("verdict", "status"), [("waits", "waiting"), ("stops", "stopped"), ("goes on", "running")])
def test_a_trial_has_the_status_of_its_last_decision_until_it_ends(verdict: Any, status: str) -> None:
    decided = Decision(trial_id="0000", number=0, kimg=1.0, verdict=verdict)
    assert Ledger([start(0), evaluation(0, 1.0, 5.0), decided])["0000"].status == status


def test_the_history_of_a_trial_begins_with_that_of_the_trial_it_continues() -> None:
    def rows(number: int, kimg: list[float], parent: int | None = None, relation: Any = "continuation") -> list[Row]:
        follows = {} if parent is None else {"parent": f"{parent:04d}", "relation": relation}
        return [start(number, **follows), *(evaluation(number, at, 0.0) for at in kimg)]

    ledger = Ledger(
        rows(0, [1, 2]) + rows(1, [3, 4], 0) + rows(2, [5], 1) + rows(3, [1, 2, 3], 0) + rows(4, [], 1)
        + rows(5, [1], 2, "final")
    )  # fmt: skip
    histories = {trial.number: [row.kimg for row in ledger.history(id)] for id, trial in ledger.items()}
    assert histories == {0: [1, 2], 1: [1, 2, 3, 4], 2: [1, 2, 3, 4, 5], 3: [1, 2, 3], 4: [1, 2, 3, 4], 5: [1]}
    assert [ledger.root_id(trial_id) for trial_id in ledger] == ["0000"] * 5 + ["0005"]
    assert ledger.total(8) == 13


def test_trials_without_a_start_row_are_left_out_and_their_numbers_are_not_given_again() -> None:
    follower = start(3, parent="0001", relation="continuation")
    rows = [evaluation(1, 1.0, 0.1), start(0), evaluation(0, 1.0, 5.0), start(2), evaluation(7, 1.0, 0.1), follower]
    ledger = Ledger(rows)
    assert list(ledger) == ["0000", "0002", "0003"]
    assert ledger.without_start == {"0001": 1, "0007": 7} and ledger.next_number == 8
    assert ledger.best is not None and ledger.best.trial_id == "0000"
    assert ledger.history("0003") == [] and ledger.root_id("0003") == "0003"
