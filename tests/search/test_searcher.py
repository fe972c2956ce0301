"""What the searcher hands out, and what the recorder writes of it. No Ray is started."""

import json
from pathlib import Path
from typing import Any

import pytest
from optuna.distributions import FloatDistribution
from ray.tune.search import Searcher

from gansearch.config import TrialConfig
from gansearch.results import Ledger, Start, Writer, read
from gansearch.run_dir import RunDir
from gansearch.search.agenda import search_agenda
from gansearch.search.plan import Options, Plan
from gansearch.search.recorder import Recorder
from gansearch.search.searcher import SpaceSearcher
from gansearch.search.space import Space
from gansearch.search.study import Study

SPACE = Space(base=TrialConfig(), params={"optim.g_lr": FloatDistribution(1e-4, 1e-2, log=True)}, baselines=["dcgan"])


def searcher(path: Path, *, trials: int, retry_failed: bool = False) -> tuple[SpaceSearcher, Recorder]:
    run = RunDir(path)
    ledger = Ledger(read(run.results)) if run.results.exists() else Ledger()
    study = Study(run.study_journal, "run", SPACE, ledger, seed=5000)
    recorder = Recorder(run, Writer(run.results), ledger, study, lambda row, ledger: None)
    plan = Plan(run, SPACE, Options(trials=trials, seed=7))
    agenda = search_agenda(plan, ledger, retry_failed=retry_failed)
    return SpaceSearcher(SPACE, recorder, agenda, constants={"cpus": 1}), recorder


def drawn(source: SpaceSearcher) -> list[dict[str, Any]]:
    """All that it hands out."""
    configs = []
    while (config := source.suggest("ray's own id")) != Searcher.FINISHED:
        configs.append(config)
    return configs


def close(recorder: Recorder) -> None:
    recorder._writer.close()


def test_baselines_then_proposals_each_with_its_files(tmp_path: Path) -> None:
    source, recorder = searcher(tmp_path, trials=3)
    configs = drawn(source)
    assert [config["trial_id"] for config in configs] == ["0000", "0001", "0002"]
    assert all(config["cpus"] == 1 and config["reported_images"] == 0 for config in configs)
    rows = [row for row in read(tmp_path / "results.jsonl") if isinstance(row, Start)]
    assert [row.origin for row in rows] == ["baseline:dcgan", "sampled", "sampled"]
    assert rows[0].params == {"optim.g_lr": 2e-4}
    for config, row in zip(configs, rows, strict=True):
        written = json.loads((tmp_path / "trials" / row.trial_id / "config.json").read_text())
        assert json.loads(config["config"]) == written
        assert (written["optim"]["g_lr"], written["seed"]) == (row.params["optim.g_lr"], 7)
    close(recorder)


def test_a_second_driver_hands_out_what_is_unfinished_and_no_more(tmp_path: Path) -> None:
    source, recorder = searcher(tmp_path, trials=3)
    first = [source.suggest(""), source.suggest("")]
    recorder.end(first[0]["trial_id"], "diverged", "non-finite loss", 0.1)
    close(recorder)
    source, recorder = searcher(tmp_path, trials=3)
    again = drawn(source)
    assert [config["trial_id"] for config in again] == ["0001", "0002"]
    assert again[0] == first[1]
    close(recorder)


def test_failed_trials_are_retried_once_and_cost_no_new_trial(tmp_path: Path) -> None:
    source, recorder = searcher(tmp_path, trials=2)
    drawn(source)
    recorder.failed("0000", "Traceback\nCUDA out of memory\n")
    recorder.end("0001", "stopped", None)
    close(recorder)
    assert (tmp_path / "trials/0000/error.txt").exists()
    for _ in range(2):  # the second time there is nothing left to retry
        source, recorder = searcher(tmp_path, trials=3, retry_failed=True)
        drawn(source)
        for trial in [trial for trial in recorder.ledger.values() if trial.end is None]:
            recorder.end(trial.trial_id, "stopped", None)
        close(recorder)
    trials = Ledger(read(tmp_path / "results.jsonl"))
    assert [trial.start.parent for trial in trials.values()] == [None, None, "0000", None]
    assert trials["0002"].start.relation == "retry"
    assert trials["0002"].start.params == trials["0000"].start.params
    assert trials["0000"].end is not None
    assert trials["0000"].end.reason == "CUDA out of memory"


def test_the_first_refusal_of_the_disk_is_kept(tmp_path: Path) -> None:
    source, recorder = searcher(tmp_path, trials=2)
    (tmp_path / "trials").write_text("in the way")
    with pytest.raises(OSError, match="trials"):
        source.suggest("")
    assert recorder.fault is not None
    close(recorder)
