"""A run as frames: one row for each trial or evaluation, with the types of the domains."""

import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution
from pandas.api.types import is_float_dtype

from gansearch.analysis.frames import evaluations_frame, trials_frame
from gansearch.analysis.rank import rank
from gansearch.run import Run, load

from .synthetic_run import KIMG, PARAMS, damage, evaluation, make_run, make_search, start


@pytest.fixture
def run(tmp_path) -> Run:
    return load(make_search(tmp_path / "run"))


def test_a_trial_is_a_row_and_a_parameter_a_column(run: Run) -> None:
    frame, rows = trials_frame(run), rank(run)
    fields = [name for name in vars(rows[0]) if name != "params"]
    assert list(frame.columns) == [*fields, *PARAMS]
    assert frame.trial_id.tolist() == [row.trial_id for row in rows]
    for row, line in zip(rows, frame.to_dict("records"), strict=True):
        for name, expected in ({name: vars(row)[name] for name in fields} | dict.fromkeys(PARAMS) | row.params).items():
            assert pd.isna(line[name]) if expected is None else line[name] == expected, name


def test_columns_have_the_types_of_their_domains(run: Run) -> None:
    types = trials_frame(run).dtypes
    assert types["optim.d_steps"] == types["rank"] == "Int64"
    assert is_float_dtype(types["loss.clip"]) and is_float_dtype(types["best_fid"])
    assert types["model.spectral_norm"] == "boolean"
    assert types["loss.name"].categories.tolist() == ["bce", "hinge", "wgan", "wgan-gp"]
    assert types["model.attention_at"].categories.tolist() == ["none", 8, 16]


def test_frames_of_a_run_without_trials_have_the_same_columns(run: Run, tmp_path) -> None:
    empty = load(make_run(tmp_path / "empty", []))
    for frame in (trials_frame, evaluations_frame):
        assert len(frame(empty)) == 0
        assert frame(empty).dtypes.to_dict() == frame(run).dtypes.to_dict()


def test_the_choice_none_is_missing(tmp_path) -> None:
    params = {"model.d_norm": CategoricalDistribution([None, "batch"])}
    rows = [start(number, {"model.d_norm": value}) for number, value in enumerate([None, "batch"])]
    column = trials_frame(load(make_run(tmp_path / "run", rows, params)))["model.d_norm"]
    assert column.isna().tolist() == [True, False] and column[1] == "batch"


def test_an_evaluation_is_a_row(run: Run) -> None:
    frame = evaluations_frame(run)
    rows = [row for trial in run.ledger.values() for row in trial.evals]
    assert list(frame.columns[:5]) == ["trial_id", "number", "kimg", "epoch", "fid"] and "event" not in frame
    assert frame.epoch.tolist() == pytest.approx([row.kimg * 1000 / 1437 for row in rows])
    assert frame.fid.tolist() == [row.fid for row in rows]
    assert frame[frame.trial_id == "0000"].kimg.tolist() == KIMG
    assert [time.isoformat(timespec="milliseconds") for time in frame.time] == [row.time for row in rows]
    lowest = frame.groupby("trial_id").fid.min()
    assert lowest.to_dict() == {id: trial.best.fid for id, trial in run.ledger.items() if trial.best}


def test_epochs_are_missing_where_the_training_images_were_not_counted(run: Run) -> None:
    damage(run.dir, num_train=None)
    assert evaluations_frame(load(run.dir)).epoch.isna().all()


def test_a_continuation_repeats_no_evaluation(tmp_path) -> None:
    rows = [start(0), evaluation(0, 6.4, 9.0), start(1, parent="0000", relation="continuation")]
    frame = evaluations_frame(load(make_run(tmp_path / "run", [*rows, evaluation(1, 12.8, 8.0)])))
    assert frame[["trial_id", "kimg"]].values.tolist() == [["0000", 6.4], ["0001", 12.8]]
