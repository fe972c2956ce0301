"""Artifacts of a trial: complete after a kill, readable by TensorBoard and Pillow, without an effect on training."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer
from torch import Tensor

from gansearch.config import ArtifactsConfig, TrialConfig
from gansearch.registry import classes
from gansearch.run.paths import join
from gansearch.training.artifacts.base import Point
from gansearch.training.artifacts.curves import FID, LOSSES
from gansearch.training.artifacts.writer import Artifacts
from gansearch.training.checkpoint import CheckpointDir
from gansearch.training.feasibility import check
from gansearch.training.loop import Trainer, run
from gansearch.training.storage import Storage

CPU = torch.device("cpu")
ALL = ArtifactsConfig()
ATTENTION = {"model.attention_at": 8, "model.spectral_norm": True, "loss.name": "hinge"}
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "all at once": {**ATTENTION, "model.conditioning": "concat", "model.dropout": 0.3, "replay.every": 2},
}


def step(trainer: Trainer, artifacts: Artifacts) -> list[Point]:
    """Makes one evaluation and its artifacts; returns the losses."""
    trainer.train_until_evaluation()
    snapshot = trainer.snapshot()
    artifacts.record(snapshot)
    return snapshot.curve


def files(folder: Path) -> dict[str, bytes]:
    """All files below a folder, by their path within it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def scalars(accumulator: EventAccumulator, tag: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in accumulator.Scalars(tag)]


def assert_curves(accumulator: EventAccumulator, points: list[Point], trainer: Trainer) -> None:
    """TensorBoard reads these losses, the FIDs of all evaluations, and nothing else."""
    assert set(accumulator.Tags()["scalars"]) == {*LOSSES, FID}
    assert points
    for number, tag in enumerate(LOSSES, 1):
        expected = [(round(point[0] * 1000), pytest.approx(point[number])) for point in points]
        assert scalars(accumulator, tag) == expected
    assert scalars(accumulator, FID) == [(row.images, pytest.approx(row.fid)) for row in trainer.evaluations]


def test_a_trial_leaves_all_of_it(tiny: TrialConfig, tmp_path: Path) -> None:
    run(Trainer(check(tiny.override(ATTENTION)), CPU), lambda _: None, artifacts=Artifacts(str(tmp_path), ALL))
    images = ("000000160", "000000320", "000000480")
    assert set(files(tmp_path)) == {
        *(f"attention/{shown}_{network}.png" for shown in images for network in "DG"),
        *(f"curves/events.out.tfevents.{shown}" for shown in images),
        "samples.gif",
        *(f"samples/{shown}.png" for shown in images),
    }


@pytest.mark.parametrize("wanted", [{"curves"}, {"samples"}, {"attention"}, {"samples", "gif"}])
def test_each_can_be_had_alone(wanted: set[str], tiny: TrialConfig, tmp_path: Path) -> None:
    artifacts = Artifacts(
        str(tmp_path), ArtifactsConfig.model_validate({name: name in wanted for name in classes("artifact")})
    )
    trainer = Trainer(check(tiny.override(ATTENTION)), CPU)
    step(trainer, artifacts)
    artifacts.finish()
    left = {name.partition("/")[0].removeprefix("samples.") for name in files(tmp_path)}
    assert left == wanted


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_training_does_not_notice(variant: str, tiny: TrialConfig, tmp_path: Path) -> None:
    config = tiny.override(VARIANTS[variant])
    left = []
    for folder in (tmp_path / "without", tmp_path / "with"):
        torch.manual_seed(0)
        checkpoints = CheckpointDir(folder)
        artifacts = Artifacts(str(folder), ALL) if folder.name == "with" else None
        run(Trainer(check(config), CPU), lambda _: None, checkpoints, artifacts)
        left.append((*checkpoints.last(CPU), torch.get_rng_state()))
    assert (tmp_path / "with" / "samples.gif").exists() and not (tmp_path / "without" / "samples.gif").exists()
    assert_same(*left)


def assert_same(one: Any, other: Any, at: str = "") -> None:
    """Bit by bit, whatever the nesting; but for what depends on the clock."""
    assert type(one) is type(other), at
    if isinstance(one, Tensor):
        assert torch.equal(one, other), at
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), at
        for key in one.keys() - {"train_seconds", "eval_seconds", "images_per_second"}:
            assert_same(one[key], other[key], f"{at}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), at
        for number, pair in enumerate(zip(one, other, strict=True)):
            assert_same(*pair, f"{at}.{number}")
    else:
        assert one == other, at


def test_a_trial_that_is_killed_and_goes_on_loses_and_doubles_nothing(tiny: TrialConfig, tmp_path: Path) -> None:
    config = check(tiny.override(ATTENTION))
    points = []
    for folder in (tmp_path / "whole", tmp_path / "killed"):
        trainer, artifacts, checkpoints = (
            Trainer(check(config), CPU),
            Artifacts(str(folder), ALL),
            CheckpointDir(folder),
        )
        for number in range(3):
            if number == 1 and folder.name == "killed":  # with artifacts of an evaluation that has no checkpoint
                step(trainer, artifacts)
                trainer, artifacts = Trainer(config, CPU), Artifacts(str(folder), ALL)
                trainer.restore(checkpoints)
            points += step(trainer, artifacts)
            trainer.save(checkpoints)
        artifacts.finish()
        assert_curves(EventAccumulator(str(folder / "curves")).Reload(), points, trainer)
        pictures = {name: content for name, content in files(folder).items() if name.endswith((".png", ".gif"))}
        assert len(pictures) == 10
        if folder.name == "whole":
            expected = pictures
        assert pictures == expected
        points = []


def test_tensorboard_follows_a_trial_and_finds_the_trials_of_a_run(tiny: TrialConfig, tmp_path: Path) -> None:
    watching, run_of_two = EventAccumulator(str(tmp_path / "0001/curves")), EventMultiplexer()
    for trial in ("0001", "0002"):
        points: list[Point] = []
        trainer, artifacts = Trainer(check(tiny), CPU), Artifacts(str(tmp_path / trial), ALL)
        while not trainer.done:
            points += step(trainer, artifacts)
            if trial == "0001":
                assert_curves(watching.Reload(), points, trainer)
        run_of_two.AddRunsFromDirectory(str(tmp_path)).Reload()
        assert_curves(run_of_two.GetAccumulator(f"{trial}/curves"), points, trainer)
    assert set(run_of_two.Runs()) == {"0001/curves", "0002/curves"}
    moments = [event.wall_time for event in watching.Scalars(LOSSES[0])]
    assert moments == sorted(moments)


def test_nothing_recorded_nothing_finished(tmp_path: Path) -> None:
    Artifacts(str(tmp_path), ALL).finish()
    assert not list(tmp_path.iterdir())


def test_an_object_store_holds_them_too(bucket: str, tiny: TrialConfig, tmp_path: Path) -> None:
    config = tiny.override(ATTENTION)
    remote = join(bucket, "run", "0001")
    for root in (remote, str(tmp_path)):
        trainer, artifacts = Trainer(check(config), CPU), Artifacts(root, ALL)
        step(trainer, artifacts)
        step(trainer, artifacts)
        artifacts.finish()
    storage = Storage(remote)
    for name, content in files(tmp_path).items():
        assert storage.read(name) == content or name.startswith("curves/")  # which hold the time of day
    assert storage.names("curves") == Storage(str(tmp_path)).names("curves")
    assert len(storage.names("curves")) == 2


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage, name = Storage(str(tmp_path)), "curves/events.out.tfevents.1"
    storage.write(name, b"one")

    def full(_: int) -> None:
        (staged,) = files(tmp_path).keys() - {name}
        assert "tfevents" not in staged, "TensorBoard would read it"
        assert storage.names("curves") == [name] and storage.read(name) == b"one"
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            storage.write(name, b"other")
    assert files(tmp_path) == {name: b"one"}
    storage.write(name, b"two")
    assert files(tmp_path) == {name: b"two"}
