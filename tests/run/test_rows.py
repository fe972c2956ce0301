"""The rows of a run: what is written is read, what a crash leaves is survived."""

import math
import random
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gansearch.errors import UserError
from gansearch.run.ledger import Ledger
from gansearch.run.rows import End, Eval, Row, Start, Writer, read, to_json

TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
OWN = {"trial_id": TEXT, "number": st.integers(0, 10**6), "time": TEXT}
STARTS = st.builds(
    Start,
    **OWN,
    params=st.dictionaries(TEXT, NUMBER | st.integers() | st.booleans() | TEXT | st.none()),
    origin=TEXT,
    seed=st.integers(0),
)
MEASURES = ("kimg", "fid", "train_seconds", "eval_seconds", "d_loss_real", "d_loss_fake", "g_loss", "images_per_second")
EVALS = st.builds(Eval, **OWN, protocol=TEXT, **dict.fromkeys(MEASURES, NUMBER))
ENDS = st.builds(
    End,
    **OWN,
    status=st.sampled_from(["completed", "stopped", "diverged", "failed"]),
    best_fid=st.none() | NUMBER,
    best_kimg=st.none() | NUMBER,
    kimg=NUMBER,
    reason=st.none() | TEXT,
)
ROWS = STARTS | EVALS | ENDS


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
    zeros: dict[str, Any] = dict.fromkeys(MEASURES, 0.0) | {"kimg": kimg, "fid": fid}
    return Eval(trial_id=f"{number:04d}", number=number, protocol="p", **zeros)


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
def test_a_torn_row_is_skipped_then_cut_off(
    row: Row, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("torn") / "results.jsonl"
    whole = written(path, [start(0), start(1)])
    torn = to_json(row).encode()
    path.write_bytes(whole + torn[: data.draw(st.integers(1, len(torn) - 1))])
    assert [row.number for row in read(path)] == [0, 1]
    assert written(path, []) == whole
    assert written(path, [row]).startswith(whole)
    assert read(path)[2:] == [row]


def test_what_is_skipped_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "results.jsonl"
    lines = [to_json(start(0)), "{", "null", '{"event": "start"}', '{"event": "of a later version"}', to_json(start(1))]
    path.write_text("\n".join(lines))
    assert [row.number for row in read(path)] == [0, 1]
    assert capsys.readouterr().err == f"{path}: skipped what is no whole row (line 2, 3, 4)\n"


def test_a_row_can_be_read_as_soon_as_it_is_appended(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with closing(Writer(path)) as writer:
        for number in range(3):
            writer.append(start(number))
            assert [row.number for row in read(path)] == list(range(number + 1))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_no_row(value: float, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        to_json(evaluation(0, 1.0, value))
    with pytest.raises(ValueError, match="JSON compliant"):
        written(tmp_path / "results.jsonl", [start(), evaluation(0, 1.0, value)])
    assert len(read(tmp_path / "results.jsonl")) == 1


HOLD = """
import sys
from pathlib import Path
from gansearch.run.rows import Start, Writer
writer = Writer(Path(sys.argv[1]))
print("open", flush=True)
number = 0
while True:
    params = {"x": "y" * 3000}
    writer.append(Start(trial_id=str(number), number=number, params=params, origin="sampled", seed=0))
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


def test_what_the_rows_say_of_a_trial() -> None:
    ledger = Ledger([start(0), evaluation(0, 1.0, 5.0), evaluation(0, 2.0, 3.0), evaluation(0, 3.0, 3.0), start(1)])
    trial, fresh = ledger["0000"], ledger["0001"]
    assert trial.best is not None and (trial.best.fid, trial.best.kimg) == (3.0, 2.0)  # the earlier of two equal
    assert (trial.kimg, trial.status, fresh.kimg, fresh.best) == (3.0, "running", 0.0, None)
    end = trial.ended("diverged", "a reason", 3.2)
    assert (end.best_fid, end.best_kimg, end.kimg, end.reason) == (3.0, 2.0, 3.2, "a reason")
    end = fresh.ended("failed")
    assert (end.best_fid, end.best_kimg, end.kimg) == (None, None, 0.0)


def test_the_best_trial_is_the_first_with_the_lowest_fid() -> None:
    assert Ledger([start(0)]).best is None
    rows = [start(n) for n in range(3)]
    scored = [evaluation(1, 1.0, 4.0), evaluation(2, 1.0, 4.0), evaluation(0, 1.0, 7.0)]
    best = Ledger([*rows, *scored]).best
    assert best is not None and best.trial_id == "0001"


def test_the_way_of_a_trial_is_that_of_those_it_continues_before_it() -> None:
    measures: dict[str, Any] = dict.fromkeys(MEASURES, 0.0)

    def rows(number: int, kimg: list[float], parent: str | None = None, relation: Any = "continuation") -> list[Row]:
        own: dict[str, Any] = {"trial_id": str(number), "number": number}
        start = Start(**own, params={}, origin="x", seed=0, parent=parent, relation=parent and relation)
        return [start, *(Eval(**own, **(measures | {"kimg": at}), protocol="p") for at in kimg)]

    ledger = Ledger(
        rows(0, [1, 2]) + rows(1, [3, 4], "0") + rows(2, [5], "1") + rows(3, [1, 2, 3], "0") + rows(4, [], "1")
        + rows(5, [1], "2", "final")
    )  # fmt: skip
    ways = {trial_id: [row.kimg for row in ledger.history(trial_id)] for trial_id in ledger}
    assert ways == {"0": [1, 2], "1": [1, 2, 3, 4], "2": [1, 2, 3, 4, 5], "3": [1, 2, 3], "4": [1, 2, 3, 4], "5": [1]}
    assert [ledger.root_id(trial_id) for trial_id in ledger] == ["0", "0", "0", "0", "0", "5"]
    assert ledger.total(8) == 13
