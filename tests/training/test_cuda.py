"""A whole trial on a CUDA device: everything that allocates, draws or resumes there."""

from pathlib import Path
from typing import Any

import pytest
import torch

from gansearch.config import TrialConfig
from gansearch.data import loader
from gansearch.training.artifacts.writer import Artifacts
from gansearch.training.checkpoint import CheckpointDir
from gansearch.training.feasibility import check
from gansearch.training.loop import Trainer, run

VARIANTS: dict[str, dict[str, Any]] = {
    "conditional, replay, noise": {
        "model.conditioning": "concat",
        "model.dropout": 0.3,
        "model.attention_at": 8,
        "model.spectral_norm": True,
        "replay.every": 2,
        "loss.smoothing": 0.1,
        "loss.label_noise": 0.1,
    },
    "acgan in bfloat16": {"model.conditioning": "acgan", "train.precision": "bf16"},
    "compiled": {"train.compile": "always", "train.precision": "bf16", "model.attention_at": 8},
    "normed, compiled": {
        "model.name": "sagan",
        "loss.name": "hinge",
        "train.compile": "always",
        "train.precision": "float32",
    },
    "tf32": {"train.precision": "tf32", "model.spectral_norm": True},
    "penalty": {"model.name": "sagan", "model.conditioning": "projection", "loss.name": "wgan-gp"},
}


@pytest.mark.gpu
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_trial_trains_leaves_pictures_and_resumes(variant: str, tiny: TrialConfig, tmp_path: Path) -> None:
    config, device = tiny.override(VARIANTS[variant]), torch.device("cuda")
    checkpoints, artifacts = CheckpointDir(tmp_path), Artifacts(str(tmp_path), config.artifacts)
    trainer = Trainer(check(config), device)
    trainer.train_until_evaluation()
    artifacts.record(trainer.snapshot())
    trainer.save(checkpoints)
    again = Trainer(check(config), device)
    again.restore(checkpoints)
    run(again, lambda _: None, checkpoints, artifacts)
    assert len(again.evaluations) == config.train.evaluations and (tmp_path / "samples.gif").exists()


@pytest.mark.gpu
def test_a_trial_whose_images_are_streamed_is_the_same(tiny: TrialConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = []
    for share in (loader._SHARE, 0.0):
        monkeypatch.setattr(loader, "_SHARE", share)
        loader._on_device.cache_clear()
        losses.append(Trainer(check(tiny), torch.device("cuda")).train(20))
    loader._on_device.cache_clear()
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
