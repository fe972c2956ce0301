import io
import json
import math
import shutil
import tempfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gansearch.analysis.frames import ranking_frame
from gansearch.analysis.noise import fid_noise
from gansearch.analysis.rank import rank, to_json
from gansearch.analysis.rank_table import write_ranking
from gansearch.analysis.status import describe
from gansearch.analysis.text import differing, short_names, value_text
from gansearch.errors import UserError
from gansearch.run import Run, load
from gansearch.run.rows import Noise

from .report_page import with_finals
from .synthetic_run import FLOOR, PARAMS, PROTOCOL, SPACE, evaluation, make_checkpoint, make_run, make_search, start
from .test_table import Terminal


@pytest.fixture
def rows(tmp_path):
    return rank(load(make_search(tmp_path / "run")))


def _written(run: Run, file: io.StringIO | None = None, **options) -> str:
    file = file or io.StringIO()
    write_ranking(run, file=file, **options)
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
    columns = ("trial", "fid", "at_kimg", "mean_fid", "max_fid", "kimg")
    header, *lines = _written(run, columns=columns).splitlines()
    assert [line.replace("*", "").split() for line in lines[:3]] == [
        ["0001", "90.00", "6.4", "90.00", "90.00", "6.4"],
        ["0000", "238.50", "6.4", "330.69", "472.00", "25.6"],
        ["0002", "-", "-", "-", "-", "0"],
    ]
    assert "FID  at kimg  mean FID  max FID  " in header and header.endswith("kimg")
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


def test_in_a_pipe_a_trial_is_one_line_of_120_characters(tmp_path):
    run = load(make_search(tmp_path / "run"))
    header, *lines = _written(run).splitlines()
    assert header.split()[:6] == ["rank", "trial", "FID", "kimg", "status", "origin"]
    assert max(map(len, [header, *lines])) <= 120
    assert "left out for lack of room: " in " ".join(lines) and "--wide`" in lines[-1]
    for row, line in zip(rank(run), lines, strict=False):
        assert line.split()[0] == (str(row.rank) if row.rank else "-")
        assert row.trial_id in line and row.status in line and row.origin in line
        assert ("* " in line) == (row.kimg != 57.6)
    assert "* another length than the full one, 57.6 kimg" in lines


def test_wide_lines_have_all(tmp_path):
    run = load(make_search(tmp_path / "run"))
    header, *lines = _written(run, wide=True).splitlines()
    for row, line in zip(rank(run), lines, strict=False):
        assert (row.checkpoint or "-") in line and (row.reason or "") in line
        assert all(value_text(value) in line.split() for value in row.params.values())
    assert header.split()[-2:] == ["reason", "checkpoint"] and "left out" not in lines[-1]


def test_only_parameters_that_differ_among_those_shown_are_columns(tmp_path):
    rows = [start(0, {"optim.g_lr": 1e-3, "optim.beta1": 0.5, "loss.name": "wgan", "loss.clip": 0.1})]
    rows += [start(1, {"optim.g_lr": 1e-3, "optim.beta1": 0.4, "loss.name": "bce"}), start(2, {"optim.g_lr": 2e-3})]
    rows += [evaluation(number, 57.6, 5.0 + number) for number in range(3)]
    run = load(make_run(tmp_path / "run", rows))
    header, *_ = _written(run, top=2).splitlines()
    assert header.split()[6:] == ["beta1", "loss", "clip"]
    assert [line.split()[6:] for line in _written(run, top=2).splitlines()[1:3]] == [
        ["0.5", "wgan", "0.1"],
        ["0.4", "bce", "-"],
    ]
    assert "g_lr" in _written(run).splitlines()[0]


def test_columns_are_those_that_a_user_names(tmp_path):
    run = load(make_search(tmp_path / "run"))
    header, first, *_ = _written(run, columns=["trial", "g_lr", "loss.name", "fid"]).splitlines()
    best = rank(run)[0]
    assert header.split() == ["trial", "g_lr", "loss", "FID"]
    assert first.split() == [
        best.trial_id,
        value_text(best.params["optim.g_lr"]),
        best.params["loss.name"],
        f"{best.best_fid:.2f}",
    ]
    with pytest.raises(UserError, match="unknown column 'g_rl'; did you mean g_lr"):
        _written(run, columns=["g_rl"])


@pytest.mark.parametrize("columns", [20, 80, 200])
def test_a_terminal_of_any_width_cuts_no_numbers(tmp_path, columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    run = load(make_search(tmp_path / "run"))
    text = _written(run, Terminal())
    for row in rank(run):
        assert row.trial_id in text
        assert row.best_fid is None or f"{row.best_fid:.2f}" in text


def test_a_part_of_the_ranking_is_marked(tmp_path):
    run = load(make_search(tmp_path / "run", trials=24))
    text = _written(run, top=3)
    assert sum(line.split()[0].isdecimal() for line in text.splitlines()) == 3
    assert "\nand 21 more of 24 trials: `gansearch rank " in text.replace("pytest", "gansearch")
    assert "\nand 4 more of 24 trials" in _written(run)
    assert "more of" not in _written(run, top=None)


@pytest.mark.parametrize("file_type", [io.StringIO, Terminal])
@pytest.mark.parametrize("top", [3, None])
def test_the_floor_stands_below(tmp_path, file_type, top):
    floor = "\nfloor: real test images score 0.2900 (360 images)\n"
    assert floor in _written(load(make_search(tmp_path / "run", floor=FLOOR)), file_type(), top=top)
    assert "\nfloor" not in _written(load(make_search(tmp_path / "other", floor=None)), file_type(), top=top)


def noise(number, kimg, fids):
    own = {"trial_id": f"{number:04d}", "number": number, "kimg": kimg}
    return Noise(**own, protocol=PROTOCOL.hash, fids=tuple(fids))


def test_trials_that_noise_does_not_separate_share_a_rank(tmp_path):
    rows = []
    for number, fid in enumerate([10.0, 10.5, 11.5, 12.1, 20.0, 0.0]):
        rows += [start(number), evaluation(number, 57.6, fid)]
    run = load(make_run(tmp_path / "run", rows))
    assert [row.rank for row in rank(run)] == [1, 2, 3, 4, 5, 6]
    # The standard deviation of the logarithms is 0.05, so that 14 % more is level.
    spread = [9.5 * math.exp(0.05 * step) for step in (-math.sqrt(1.5), 0.0, math.sqrt(1.5))]
    run = load(make_run(tmp_path / "noisy", [*rows, noise(0, 57.6, spread), noise(1, 57.6, spread)]))
    assert fid_noise(run.ledger) == pytest.approx(0.05 * math.sqrt(1.5))
    assert [row.rank for row in rank(run)] == [1, 2, 2, 2, 5, 6]
    assert "other z differ by 6.1%" in " ".join(_written(run).split())
    ends = [start(6), start(7)]
    run = load(
        make_run(tmp_path / "unranked", [*rows[:2], *rows[8:10], noise(0, 57.6, spread), noise(4, 57.6, spread), *ends])
    )
    assert "share a rank" not in _written(run)


def test_finals_have_no_rank_and_are_no_line(tmp_path):
    rows = [start(0), evaluation(0, 57.6, 9.0), start(1, origin="final", parent="0000", relation="final")]
    run = load(make_run(tmp_path / "run", [*rows, evaluation(1, 57.6, 5.0)]))
    assert [(row.rank, row.trial_id) for row in rank(run)] == [(1, "0000"), (None, "0001")]
    text = _written(run)
    assert "0001" not in text and "finals were trained, but not all: `" in text


def test_a_missing_checkpoint_is_said(tmp_path):
    directory = make_search(tmp_path / "run")
    best = rank(load(directory))[0].trial_id
    assert "not exportable" not in _written(load(directory))
    shutil.rmtree(directory.trial(best))
    assert f"not exportable, since the checkpoint is missing: {best}\n" in _written(load(directory))


def test_the_missing_checkpoint_of_the_winners_final_is_said(tmp_path):
    directory = with_finals(tmp_path / "run")
    for trial in load(directory).ledger.values():
        if trial.trial_id != "0002":
            make_checkpoint(directory.trial(trial.trial_id) / "checkpoint_000057600")
    assert "since the checkpoint is missing: 0002 (the winner's final)\n" in _written(load(directory))


def test_short_names_are_those_that_a_person_would_say():
    paths = ["optim.g_lr", "optim.d_lr/optim.g_lr", "loss.name", "model.name", "loss.clip", "seed", "a.x", "b.x"]
    names = ["g_lr", "d_lr/g_lr", "loss", "model", "clip", "seed", "a.x", "b.x"]
    assert short_names(paths) == dict(zip(paths, names, strict=True))


@given(st.lists(st.text("ab.", min_size=1, max_size=5), unique=True))
def test_short_names_are_unique(paths):
    assert len(set(short_names(paths).values())) == len(paths)


def test_what_differs():
    assert differing(["a", "b", "c"], [{"a": 1, "b": 2}, {"a": 1, "b": 3, "c": 1}]) == ["b", "c"]
    assert differing(["a"], []) == [] and differing(["a"], [{"a": 1}]) == []
