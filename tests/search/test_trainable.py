"""A trial as an actor: what it leaves when it is stopped, and what a full disk does to it. Ray is not started."""

import errno
import gc
import os
import pickle
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from gansearch.config import TrialConfig
from gansearch.metrics.reference import Reference
from gansearch.metrics.scorer import scorer_for
from gansearch.search.ray import trainable
from gansearch.search.ray.trainable import GANTrial, TrialFailure
from gansearch.training import storage
from gansearch.training.checkpoint import CheckpointDir
from gansearch.training.feasibility import check
from gansearch.training.loop import Diverged, evaluate_next
from gansearch.training.storage import Storage

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainable, "_node", lambda: "this node")


def told(config: TrialConfig, folder: Path, trial_id: str) -> dict[str, Any]:
    """What Tune hands to an actor."""
    return {
        "config": check(config),
        "checkpoints": str(folder),
        "trial_id": trial_id,
        "reported_images": 0,
        "continues": None,
        "objects": {},
        "token": "of the driver",
        "cpus": 1,
        "gpus": 0,
    }


def actor(config: TrialConfig, folder: Path) -> GANTrial:
    return begun(told(config, folder, "0000"), scorer_for(config, CPU).reference)


def begun(config: dict[str, Any], reference: Reference) -> GANTrial:
    """A trial after its first step, on a node that sees the storage of the driver."""
    Storage(config["checkpoints"]).write(".token", b"of the driver")
    trial = object.__new__(GANTrial)  # Tune's constructor opens log files in the user's home
    trial.setup(config, reference)
    assert trial.step() == {"done": False, "warnings": []}
    return trial


def begin_next(trial: GANTrial, config: dict[str, Any]) -> None:
    assert trial.reset_config(config)
    trial.step()


def failing(code: int, where: str) -> Callable[[int], None]:
    """A disk that refuses files whose path has `where` in it."""

    def fsync(descriptor: int) -> None:
        if where in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            raise OSError(code, os.strerror(code))

    return fsync


def saved(folder: Path) -> dict[str, Any]:
    """What the newest checkpoint of a trial holds."""
    found = CheckpointDir(folder).last(CPU)
    assert found is not None
    return found[0]


def evaluate(trial: GANTrial) -> None:
    """A step but for the report, which asks Ray for its node."""
    evaluate_next(trial._trainer, trial._checkpoints, trial._artifacts)


def test_what_the_driver_measured_is_not_measured_again(
    tiny: TrialConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = scorer_for(tiny, CPU).reference
    monkeypatch.setenv("GANSEARCH_CACHE", str(tmp_path / "of another node"))
    trial = begun(told(tiny, tmp_path / "trials", "0000"), pickle.loads(pickle.dumps(reference)))
    evaluate(trial)
    assert trial._trainer.evaluations[0].protocol == reference.protocol.hash
    assert not (tmp_path / "of another node").exists()


def test_a_node_with_other_images_is_refused(tiny: TrialConfig, tmp_path: Path) -> None:
    reference = scorer_for(tiny, CPU).reference
    other = replace(reference, protocol=replace(reference.protocol, data="0" * 64))
    with pytest.raises(
        TrialFailure, match=r"this node measures otherwise than the driver \(data 0000.* / .*copy data"
    ) as failure:
        begun(told(tiny, tmp_path, "0000"), other)
    assert (failure.value.cause, failure.value.node) == ("refused", "this node")


@pytest.mark.parametrize("token", [None, b"of another driver", b""])
def test_a_node_that_does_not_see_the_storage_refuses_the_trial(
    token: bytes | None, tiny: TrialConfig, tmp_path: Path
) -> None:
    """It would train from zero, onto a disk of its own."""
    trial = actor(tiny, tmp_path)
    Storage(str(tmp_path)).remove(".token")
    if token is not None:
        Storage(str(tmp_path)).write(".token", token)
    trial.reset_config(told(tiny, tmp_path, "0001"))
    with pytest.raises(TrialFailure, match="this node does not see the files of the run in") as failure:
        trial.step()
    assert failure.value.cause == "refused"
    assert not (tmp_path / "0001").exists()


def test_a_trial_that_the_scheduler_stops_gets_its_gif(tiny: TrialConfig, tmp_path: Path) -> None:
    trial = actor(tiny, tmp_path)
    evaluate(trial)
    assert not (tmp_path / "0000/samples.gif").exists()
    begin_next(trial, told(tiny, tmp_path, "0001"))
    assert (tmp_path / "0000/samples.gif").exists()
    evaluate(trial)
    trial.cleanup()
    assert (tmp_path / "0001/samples.gif").exists()


BUSY = {
    "model.attention_at": 8,
    "model.spectral_norm": True,
    "model.conditioning": "concat",
    "model.dropout": 0.3,
    "loss.name": "wgan-gp",
    "replay.every": 1,
    "train.precision": "bf16",
    "optim.d_steps": 2,
    "seed": 5,
}


def test_a_trial_leaves_nothing_to_the_next(tiny: TrialConfig, tmp_path: Path) -> None:
    """A, B, A in one actor: both A are equal bit by bit, whatever B is, also where B has diverged."""
    trial = actor(tiny, tmp_path)
    others = [tiny.override(BUSY), tiny.override({"optim.g_lr": 1e30, "optim.d_lr": 1e30})]
    states, flags = [], []
    for number, config in enumerate([tiny, others[0], tiny, others[1], tiny]):
        if number:
            begin_next(trial, told(config, tmp_path, f"{number:04d}"))
        with suppress(Diverged):
            while not trial._trainer.done:
                evaluate(trial)
        torch.rand(number + 1)  # whatever else draws from torch's own generator
        flags.append((torch.is_grad_enabled(), torch.is_autocast_enabled("cpu"), torch.get_default_dtype()))
        if config == tiny:
            states.append(saved(tmp_path / f"{number:04d}"))
    assert len(set(flags)) == 1
    for again in states[1:]:
        for part in ("G", "D", "ema"):
            assert all(torch.equal(again[part][name], value) for name, value in states[0][part].items())
        assert [row["fid"] for row in again["evaluations"]] == [row["fid"] for row in states[0]["evaluations"]]
        assert torch.equal(again["rng"], states[0]["rng"])


def test_an_actor_does_not_grow_with_its_trials(tiny: TrialConfig, tmp_path: Path) -> None:
    """The tensors alive after many trials are those after a few: no graph, buffer or hook holds on to a net."""
    trial = actor(tiny, tmp_path)
    alive = []
    for number in range(1, 7):
        begin_next(trial, told(tiny.override(BUSY if number % 2 else {}), tmp_path, f"{number:04d}"))
        evaluate(trial)
        gc.collect()
        alive.append(sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects()))
    assert alive[1] == alive[3] == alive[5] > 0 and alive[2] == alive[4] > 0


def test_a_trial_that_was_completed_before_a_restart_gets_its_gif(tiny: TrialConfig, tmp_path: Path) -> None:
    first = actor(tiny, tmp_path)
    while not first._trainer.done:
        evaluate(first)
    assert first._scorer is not None
    config = told(tiny, tmp_path, "0000") | {"reported_images": tiny.train.max_images}
    again = begun(config, first._scorer.reference)
    assert again.step() == {"images": tiny.train.max_images, "done": True, "warnings": []}
    content = (tmp_path / "0000/samples.gif").read_bytes()
    (tmp_path / "0000/samples.gif").unlink()
    again.cleanup()
    assert not (tmp_path / "0000/samples.gif").exists(), "once is enough"
    assert content[:6] == b"GIF89a"


@pytest.mark.parametrize("checkpoint", ["there", "gone"])
def test_a_trial_that_continues_another_is_the_long_one(checkpoint: str, tiny: TrialConfig, tmp_path: Path) -> None:
    """Bit by bit; where the other's checkpoint is gone, it goes the whole way itself."""
    longer = tiny.lengthened(2 * tiny.train.max_kimg)
    short, whole = actor(tiny, tmp_path / "a"), actor(longer, tmp_path / "b")
    for trial in (short, whole):
        while not trial._trainer.done:
            evaluate(trial)
    if checkpoint == "gone":
        shutil.rmtree(tmp_path / "a/0000")
    known = {"continues": ("0000", 480)}
    begin_next(whole, told(longer, tmp_path / "a", "0001") | known)
    while not whole._trainer.done:
        evaluate(whole)
    states = [saved(tmp_path / one) for one in ("b/0000", "a/0001")]
    fids = [[row["fid"] for row in state["evaluations"]] for state in states]
    assert len(fids[0]) == 6
    assert fids[1] == (fids[0] if checkpoint == "gone" else fids[0][3:]), "what it reports is its own"
    assert CheckpointDir(tmp_path / "a/0001").best()[1].best_fid == min(fids[1])
    for name in ("G", "D", "ema"):
        assert all(torch.equal(states[0][name][key], value) for key, value in states[1][name].items())


def test_a_checkpoint_of_another_configuration_is_not_continued(tiny: TrialConfig, tmp_path: Path) -> None:
    trial = actor(tiny, tmp_path)
    evaluate(trial)
    for other in ({"optim.g_lr": 1e-3}, {"train.max_kimg": 0.96}, {"train.evaluations": 6, "train.max_kimg": 0.48}):
        with pytest.raises(TrialFailure, match="another configuration") as failure:
            begin_next(trial, told(tiny.override(other), tmp_path, "0001") | {"continues": ("0000", 480)})
        assert failure.value.cause == "error", "another node would do the same"


def test_a_trial_that_diverges_before_anything_is_recorded(tiny: TrialConfig, tmp_path: Path) -> None:
    trial = actor(tiny.override({"optim.g_lr": 1e30, "optim.d_lr": 1e30}), tmp_path)
    result = trial.step()
    assert "non-finite" in result["diverged"]
    assert result["done"]
    assert not (tmp_path / "0000").exists()


@pytest.mark.parametrize("where", ["curves", "samples", "checkpoint_"])
def test_a_full_disk_ends_the_search(
    where: str, tiny: TrialConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = actor(tiny, tmp_path)
    monkeypatch.setattr(os, "fsync", failing(errno.ENOSPC, where))
    with pytest.raises(TrialFailure, match="No space left on device") as failure:
        trial.step()
    assert failure.value.cause == "disk full"
    assert trial._checkpoints.last(CPU) is None
    if where == "checkpoint_":  # which implies the artifacts, so they come first
        names = [path.name for path in (tmp_path / "0000").rglob("*") if path.is_file()]
        assert sorted(names) == ["000000160.png", "events.out.tfevents.000000160"]
    trial.cleanup()


def test_a_gif_that_can_t_be_written_is_logged_and_costs_the_next_trial_nothing(
    tiny: TrialConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(storage, "PATIENCE", 0)
    trial = actor(tiny, tmp_path)
    evaluate(trial)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing(errno.EIO, "0000/."))
        begin_next(trial, told(tiny, tmp_path, "0001"))
    assert f"{tmp_path}/0000: the animation of its samples is missing" in caplog.text
    evaluate(trial)
    assert saved(tmp_path / "0001")


def test_a_storage_that_stays_away_is_not_the_trials_fault(
    tiny: TrialConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "PATIENCE", 0)
    trial = actor(tiny, tmp_path)
    monkeypatch.setattr(os, "fsync", failing(errno.EIO, "samples"))
    with pytest.raises(TrialFailure, match=rf"{tmp_path}/0000: .*Input/output error") as failure:
        trial.step()
    assert failure.value.cause == "storage"
    assert "Traceback" in pickle.loads(pickle.dumps(failure.value)).text


DAMAGED = {"the newest": ("checkpoint_000000480",), "all": ("checkpoint_000000320", "checkpoint_000000480")}


@pytest.mark.parametrize("damaged", DAMAGED.values(), ids=DAMAGED)
def test_a_trial_with_damaged_checkpoints_goes_the_way_again(
    damaged: tuple[str, ...], tiny: TrialConfig, tmp_path: Path
) -> None:
    """It begins at the checkpoint before, or at the start; evaluations that the driver has are not reported twice."""
    trial = actor(tiny, tmp_path)
    while not trial._trainer.done:
        evaluate(trial)
    whole = saved(tmp_path / "0000")
    for name in damaged:
        (tmp_path / "0000" / name / "last.pt").write_bytes(b"cut")
    begin_next(trial, told(tiny, tmp_path, "0000") | {"reported_images": 320})
    assert trial._unreported == [] and len(trial._trainer.evaluations) == (2 if len(damaged) == 1 else 0)
    while not trial._trainer.done:
        evaluate(trial)
    again = saved(tmp_path / "0000")
    assert [row["fid"] for row in again["evaluations"]] == [row["fid"] for row in whole["evaluations"]]
    assert all(torch.equal(again["G"][name], value) for name, value in whole["G"].items())


def test_a_trial_that_continues_one_with_a_damaged_checkpoint(tiny: TrialConfig, tmp_path: Path) -> None:
    """It begins at the checkpoint before that one, so that its own evaluations begin there."""
    trial, longer = actor(tiny, tmp_path), tiny.lengthened(2 * tiny.train.max_kimg)
    while not trial._trainer.done:
        evaluate(trial)
    (tmp_path / "0000/checkpoint_000000480/best.safetensors").unlink()
    begin_next(trial, told(longer, tmp_path, "0001") | {"continues": ("0000", 480)})
    assert trial._trainer.shown == 320 and trial._unreported == [] and trial._trainer.evaluations == []
    evaluate(trial)
    assert [row["kimg"] for row in saved(tmp_path / "0001")["evaluations"]] == [0.48]


def test_a_retry_reports_what_the_trial_before_could_not(tiny: TrialConfig, tmp_path: Path) -> None:
    """Its process was lost between the checkpoint and the report, or at the very end, with nothing left to train."""
    trial = actor(tiny, tmp_path)
    first, second = trial.step(), trial.step()
    begin_next(trial, told(tiny, tmp_path, "0001") | {"continues": ("0000", first["images"])})
    assert trial.step()["fid"] == second["fid"]
    last = trial.step()
    assert last["done"]
    begin_next(trial, told(tiny, tmp_path, "0002") | {"continues": ("0001", last["images"])})
    again = trial.step()
    assert (again["fid"], again["images"], again["done"]) == (last["fid"], last["images"], True)


def test_what_a_trial_is_warned_of_travels_with_its_results(tiny: TrialConfig, tmp_path: Path) -> None:
    trial = actor(tiny, tmp_path)
    evaluate(trial)
    (tmp_path / "0000/checkpoint_000000160/last.pt").write_bytes(b"cut")
    trial.reset_config(told(tiny, tmp_path, "0000"))
    result = trial.step()
    assert "checkpoint_000000160/last.pt is damaged" in " ".join(result["warnings"])
    assert trial.step()["warnings"] == []
