import io
import json
import tempfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gansearch.analysis.frames import ranking_frame
from gansearch.analysis.rank import rank, to_json, write_table
from gansearch.analysis.status import describe
from gansearch.analysis.text import params_text
from gansearch.run import Run, load

from .synthetic_run import FLOOR, PARAMS, SPACE, evaluation, make_run, make_search, start
from .test_table import Terminal


@pytest.fixture
def rows(tmp_path):
    return rank(load(make_search(tmp_path / "run")))


def _written(run: Run, file: io.StringIO | None = None, **options) -> str:
    file = file or io.StringIO()
    write_table(rank(run), run.manifest.floor, file=file, **options)
    return file.getvalue()


def test_the_lowest_fid_is_first_and_trials_without_one_are_last(rows):
    assert [row.rank for row in rows] == [*range(1, 16), None]
    fids = [row.best_fid for row in rows[:-1]]
    assert fids == sorted(fids)
    last = rows[-1]
    assert (last.number, last.status, last.best_fid, last.best_kimg) == (2, "diverged", None, None)
    assert last.checkpoint is None and last.reason == "the generator's loss is not finite"
    assert {row.status for row in rows} == {"completed", "stopped", "running", "diverged"}
    assert [row.origin for row in rows if row.number == 0] == ["baseline:dcgan"]


def test_the_best_and_its_kimg_are_not_the_last(tmp_path):
    fids = [(6.4, 90.0), (12.8, 40.0), (19.2, 60.0)]
    (row,) = rank(load(make_run(tmp_path / "run", [start(0), *(evaluation(0, *pair) for pair in fids)])))
    assert (row.best_fid, row.best_kimg, row.kimg, row.status) == (40.0, 12.8, 19.2, "running")


@pytest.mark.parametrize(
    ("relation", "origin"),
    [(None, "sampled"), ("retry", "sampled (retry of 0000)"), ("continuation", "sampled (continues 0000)")],
)
def test_the_origin_names_the_trial_that_another_follows(tmp_path, relation, origin):
    follower = start(1, parent=relation and "0000", relation=relation)
    run = load(make_run(tmp_path / "run", [start(0), follower, evaluation(1, 6.4, 9.0)]))
    (row, _) = rank(run)
    assert (row.parent, row.relation) == (relation and "0000", relation)
    assert f"  running  {origin}" in _written(run).splitlines()[1]
    assert f"trial 1 (0001, {origin}): running" in describe(run.ledger["0001"], run.ledger)


def test_minimum_mean_and_maximum_are_over_a_trials_evaluations(tmp_path):
    rows = []
    for number, fids in enumerate([[238.5, 472.0, 312.25, 300.0], [90.0], []]):
        rows.append(start(number))
        rows += [evaluation(number, 6.4 * (step + 1), fid) for step, fid in enumerate(fids)]
    run = load(make_run(tmp_path / "run", rows, params={}))
    ranked = rank(run)
    assert [(row.number, row.best_fid, row.mean_fid, row.max_fid) for row in ranked] == [
        (1, 90.0, 90.0, 90.0),
        (0, 238.5, 330.6875, 472.0),
        (2, None, None, None),
    ]
    header, *lines = _written(run).splitlines()
    assert [line.split()[1:7] for line in lines] == [
        ["0001", "90.00", "6.4", "90.00", "90.00", "6.4"],
        ["0000", "238.50", "6.4", "330.69", "472.00", "25.6"],
        ["0002", "-", "-", "-", "-", "0"],
    ]
    assert "min FID  at kimg  mean FID  max FID  kimg" in header
    assert [row["mean_fid"] for row in json.loads(to_json(ranked))] == [90.0, 330.6875, None]
    frame = pd.read_csv(io.StringIO(ranking_frame(ranked, {}).to_csv(index=False)))
    assert frame["best_fid"].tolist()[:2] == [90.0, 238.5] and frame["max_fid"].tolist()[:2] == [90.0, 472.0]


def test_equal_fids_share_a_rank_and_the_faster_comes_first(tmp_path):
    rows = []
    for number, (kimg, fid) in enumerate([(12.8, 50.0), (6.4, 50.0), (6.4, 60.0), (6.4, 50.0)]):
        rows += [start(number), evaluation(number, kimg, fid)]
    ranked = rank(load(make_run(tmp_path / "run", rows)))
    assert [(row.number, row.rank) for row in ranked] == [(1, 1), (3, 1), (0, 1), (2, 4)]


@settings(max_examples=25)
@given(st.lists(st.lists(st.floats(0, 1e6), max_size=5), max_size=8))
def test_ranks_are_a_competition_ranking_of_the_lowest_fids(trials):
    rows = []
    for number, fids in enumerate(trials):
        rows.append(start(number))
        rows += [evaluation(number, 6.4 * (step + 1), fid) for step, fid in enumerate(fids)]
    with tempfile.TemporaryDirectory() as folder:
        ranked = rank(load(make_run(Path(folder) / "run", rows)))
    assert sorted(row.number for row in ranked) == list(range(len(trials)))
    lowest = [min(fids) for fids in trials if fids]
    for row in ranked:
        fids = trials[row.number]
        assert row.best_fid == (min(fids) if fids else None)
        assert row.rank == (1 + sum(fid < min(fids) for fid in lowest) if fids else None)
        assert row.max_fid == (max(fids) if fids else None)
        assert row.mean_fid == (pytest.approx(sum(fids) / len(fids)) if fids else None)


def test_json_is_strict_and_holds_every_field(rows):
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    objects = json.loads(to_json(rows), parse_constant=refuse)
    assert objects == [vars(row) for row in rows]
    assert objects[-1]["rank"] is None


def test_csv_gives_back_every_number(rows, tmp_path):
    path = tmp_path / "rank.csv"
    path.write_text(ranking_frame(rows, SPACE.params).to_csv(index=False))
    frame = pd.read_csv(path, dtype={"trial_id": str}, float_precision="round_trip")
    assert list(frame.columns[-len(PARAMS) :]) == list(PARAMS)
    assert len(frame) == len(rows)
    for row, line in zip(rows, frame.to_dict("records"), strict=True):
        assert line["trial_id"] == row.trial_id
        assert row.best_fid is None or line["best_fid"] == row.best_fid
        for path in PARAMS:
            if path not in row.params:
                assert pd.isna(line[path])
            elif isinstance(row.params[path], str | bool | int):
                assert str(line[path]).removesuffix(".0") == str(row.params[path])
            else:
                assert line[path] == row.params[path]


def test_in_a_pipe_a_trial_is_one_whole_line(rows):
    file = io.StringIO()
    write_table(rows, file=file)
    header, *lines = file.getvalue().splitlines()
    assert header.split()[:4] == ["rank", "trial", "min", "FID"]
    for row, line in zip(rows, lines, strict=True):
        assert line.split()[0] == (str(row.rank) if row.rank else "-")
        assert row.trial_id in line and row.status in line and params_text(row.params) in line
        assert (row.checkpoint or "-") in line and (row.reason or "") in line
    at = header.index("trial")
    assert all(line[at:].startswith(row.trial_id) for row, line in zip(rows, lines, strict=True))


@pytest.mark.parametrize("columns", [20, 80, 200])
def test_a_terminal_of_any_width_cuts_no_numbers(rows, columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    file = Terminal()
    write_table(rows, file=file)
    text = file.getvalue()
    for row in rows:
        assert row.trial_id in text
        assert row.best_fid is None or f"{row.best_fid:.2f}" in text
    assert str(rows[0].checkpoint) in text


def test_a_part_of_the_ranking_is_marked(tmp_path):
    text = _written(load(make_search(tmp_path / "run")), top=3)
    assert len(text.splitlines()) == 5
    assert text.endswith("\nand 13 more of 16 trials\n")


@pytest.mark.parametrize("file_type", [io.StringIO, Terminal])
@pytest.mark.parametrize("top", [3, None])
def test_the_floor_is_the_last_line(tmp_path, file_type, top):
    text = _written(load(make_search(tmp_path / "run", floor=FLOOR)), file_type(), top=top)
    assert text.endswith("\nfloor: real test images score 0.2900 (360 images)\n")
    assert "\nfloor" not in _written(load(make_search(tmp_path / "other", floor=None)), file_type(), top=top)


def test_parameters_are_grouped_by_section():
    params = {
        "optim.g_lr": 0.00123456,
        "loss.clip": 0.01,
        "optim.d_steps": 2,
        "loss.name": "wgan",
        "a.b": False,
        "seed": 3,
    }
    assert params_text(params) == "optim g_lr=0.00123 d_steps=2; loss wgan clip=0.01; a b=false; seed=3"
    params = {"optim.d_lr/optim.g_lr": 4.0, "train.ema_kimg/optim.g_lr": 2.5}
    assert params_text(params) == "optim d_lr/g_lr=4; train ema_kimg/optim.g_lr=2.5"
