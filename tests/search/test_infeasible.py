"""Trials that do not fit the memory of their GPU: what they end as, what follows, and when the search ends."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from gansearch.cli.search import main
from gansearch.config import TrialConfig
from gansearch.run.ledger import Ledger
from gansearch.run.rows import End, Start, read, trial_id_of
from gansearch.search.health import Failure, Health
from gansearch.search.queue import TrialQueue
from gansearch.search.ray.trainable import GANTrial, TrialFailure
from gansearch.training.loop import Trainer
from tests.search.test_trainable import _node, actor, begin_next, evaluate, told  # noqa: F401 - a fixture

TEXT = (
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.15 GiB of which 1.00 GiB is "
    "free. Including non-PyTorch memory, this process has 70.00 GiB memory in use."
)


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A GPU on which no step fits."""

    def steps(trainer: Trainer, d_steps: int) -> None:
        raise torch.OutOfMemoryError(TEXT)

    monkeypatch.setattr(Trainer, "train", steps)
    return monkeypatch


@pytest.mark.usefixtures("full")
def test_a_trial_that_never_fitted_is_infeasible_and_the_next_one_begins(tiny: TrialConfig, tmp_path: Path) -> None:
    trial = actor(tiny, tmp_path)
    reason = (
        "out of memory with 0 of a GPU (CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of "
        "79.15 GiB of which 1.00 GiB is free)"
    )
    assert trial.step() == {"infeasible": reason, "node": "this node", "done": True, "warnings": []}
    begin_next(trial, told(tiny, tmp_path, "0001"))
    assert trial._trainer is not None


def test_a_trial_too_large_to_be_built_is_infeasible(
    tiny: TrialConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = actor(tiny, tmp_path)

    def built(self: GANTrial, *_: object) -> Trainer:
        raise torch.OutOfMemoryError(TEXT)

    monkeypatch.setattr(GANTrial, "trainer_of", built)
    assert trial.reset_config(told(tiny, tmp_path, "0001"))
    result = trial.step()
    assert result["done"] and "infeasible" in result


def test_a_trial_that_has_fitted_is_tried_again(
    tiny: TrialConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others on the card take more than they did."""
    trial = actor(tiny, tmp_path)
    evaluate(trial)

    def steps(trainer: Trainer, d_steps: int) -> None:
        raise torch.OutOfMemoryError(TEXT)

    monkeypatch.setattr(Trainer, "train", steps)
    with pytest.raises(TrialFailure, match="out of memory") as failure:
        trial.step()
    assert failure.value.cause == "error"


def test_memory_that_all_trials_need_is_no_fault_of_one(
    tiny: TrialConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loads(*_: object) -> None:
        raise RuntimeError("CUDA error: out of memory")

    monkeypatch.setattr("gansearch.search.ray.trainable.device_images", loads)
    with pytest.raises(TrialFailure, match="out of memory") as failure:
        actor(tiny, tmp_path)
    assert failure.value.cause == "error"


def test_a_precision_that_this_node_has_no_units_for_is_the_node_s_fault(
    tiny: TrialConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = actor(tiny, tmp_path)
    with pytest.raises(TrialFailure, match="tf32 needs a GPU") as failure:
        begin_next(trial, told(tiny.override({"train.precision": "tf32"}), tmp_path, "0001"))
    assert failure.value.cause == "refused"


def test_a_trial_on_its_own_that_does_not_fit_is_one_line(
    tiny: TrialConfig, tmp_path: Path, full: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    full.chdir(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(tiny.to_json())
    assert main(["trial", str(path), "--out", "run"]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "out of memory" in line]
    assert line.endswith("set train.batch, model.features or data.resolution lower")


def health_of(trials: int) -> Health:
    rows = [
        Start(trial_id=trial_id_of(number), number=number, params={"x": number}, origin="sampled", seed=0)
        for number in range(trials)
    ]
    return Health(Ledger(rows), TrialQueue())


def infeasible(health: Health, number: int) -> None:
    failure = Failure(trial_id=trial_id_of(number), cause="error", reason="too large", node="a", at=float(number))
    health.infeasible(failure, {"a": 1, "b": 1})


def test_eight_in_a_row_on_one_node_are_the_node_s_fault_and_on_all_nodes_end_the_search() -> None:
    health = health_of(20)
    for number in range(7):
        infeasible(health, number)
    assert not health.broken and health.ends is None
    infeasible(health, 7)
    assert health.broken == {"a"} and health.ends is None
    for number in range(8, 16):
        failure = Failure(trial_id=trial_id_of(number), cause="error", reason="too large", node="b")
        health.infeasible(failure, {"a": 1, "b": 1})
    assert health.ends == "no node is left on which trials do not fail (too large)"


def test_trials_that_fit_between_them_show_that_others_fit() -> None:
    health = health_of(40)
    for number in range(40):
        if number % 5 == 4:
            health.began(trial_id_of(number), float(number))
            health.evaluated(trial_id_of(number), "a", number + 0.5)
        else:
            infeasible(health, number)
    assert not health.broken and health.ends is None


OWN = """
import torch
from gansearch.losses.bce import BCE

class Large(BCE):
    def discriminator(self, real, fake, rng):
        if len(real) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. A card has 1 GiB")
        return super().discriminator(real, fake, rng)
"""


@pytest.mark.slow
def test_where_no_trial_fits_the_search_ends_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    small = {"model.features": 8, "metrics.num_fake": 64, "train.batch": 16, "train.precision": "float32"}
    words = [word for path, value in small.items() for word in ("--set", f"{path}={value}")]
    words += ["--set", "loss.name=own:Large", "--max-concurrent", "1", "--max-kimg", "0.576"]
    done = subprocess.run(
        [sys.executable, "-m", "gansearch", "start", "digits", "--name", "run", "--trials", "30", *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), str(tmp_path)])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 4, done.stderr
    assert (
        "(out of memory with 0 of a GPU (CUDA out of memory. Tried to allocate 2.00 GiB. A card has 1 GiB))"
        in (done.stderr.splitlines()[-1])
    )
    ends = [row for row in read(tmp_path / "runs/run/results.jsonl") if isinstance(row, End)]
    assert len(ends) == 8 and {row.status for row in ends} == {"infeasible"}
    assert len({row.trial_id for row in ends}) == 8, "none was tried again"
