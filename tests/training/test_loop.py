"""Whole trials: repeatable, resumable bit by bit, scored at their best, ended when they diverge."""

import pickle
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gansearch import registry
from gansearch.config import TrialConfig
from gansearch.data.base import to_uint8
from gansearch.errors import UserError
from gansearch.metrics.scorer import scorer_for
from gansearch.models.base import Model
from gansearch.run.rows import Evaluation
from gansearch.text import kimg_text
from gansearch.training import loop
from gansearch.training.checkpoint import CheckpointDir
from gansearch.training.feasibility import check
from gansearch.training.loop import Diverged, Trainer, run
from gansearch.training.step import TrainState, g_step

CPU = torch.device("cpu")
TIMES = ("train_seconds", "eval_seconds", "images_per_second")
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "replay": {"replay.every": 2, "replay.capacity": 100},
    "spectral norm and attention": {"model.spectral_norm": True, "model.attention_at": 8, "loss.name": "hinge"},
    "bf16": {"train.precision": "bf16", "optim.d_steps": 3},
    "wgan-gp": {"loss.name": "wgan-gp", "replay.every": 1, "train.precision": "bf16"},
    "wgan without averaging": {"loss.name": "wgan", "train.ema_kimg": 0},
    "conditional with replay and noise": {
        "model.conditioning": "concat",
        "model.dropout": 0.3,
        "replay.every": 2,
        "loss.smoothing": 0.1,
        "loss.label_noise": 0.1,
    },
    "acgan": {"model.conditioning": "acgan", "optim.g_steps": 2},
    "pairs": {"model.conditioning": "projection", "optim.g_steps": 3, "loss.name": "relativistic"},
    "projection with wgan-gp": {"model.name": "sagan", "model.conditioning": "projection", "loss.name": "wgan-gp"},
}


def measured(trainer: Trainer) -> list[dict[str, Any]]:
    """Its evaluations without what depends on the clock."""
    rows = [asdict(row) for row in trainer.evaluations]
    return [{name: value for name, value in row.items() if name not in TIMES} for row in rows]


def state(trainer: Trainer) -> dict[str, Tensor]:
    """Every tensor that a trial consists of."""
    train_state = trainer._state
    networks = {"G": train_state.G, "D": train_state.D, "ema": trainer._ema.model}
    tensors = {f"{part}.{name}": value for part, net in networks.items() for name, value in net.state_dict().items()}
    for part, optimizer in {"g": train_state.g_optimizer, "d": train_state.d_optimizer}.items():
        for number, moments in optimizer.state_dict()["state"].items():
            tensors |= {f"{part}.{number}.{name}": value for name, value in moments.items()}
    images = train_state.replay.state_dict()["images"]
    tensors |= {} if images is None else {"replay": images}
    tensors |= {f"best.{name}": value for name, value in trainer._best.items()}
    return tensors | {"rng": trainer._rng.get_state()}


def finished(config: TrialConfig) -> Trainer:
    trainer = Trainer(check(config), CPU)
    run(trainer, lambda evaluation: None)
    return trainer


def assert_equal(first: Trainer, second: Trainer) -> None:
    assert measured(first) == measured(second)
    mine, theirs = state(first), state(second)
    assert mine.keys() == theirs.keys()
    assert [name for name in mine if not torch.equal(mine[name], theirs[name])] == []


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_trial_repeats_itself_and_resumes_bit_by_bit(variant: str, tiny: TrialConfig, tmp_path: Path) -> None:
    config = tiny.override({"train.max_kimg": 0.24} | VARIANTS[variant])  # five D steps between two evaluations
    whole = finished(config)
    assert [row["kimg"] for row in measured(whole)] == [0.08, 0.16, 0.24]
    again = Trainer(check(config), CPU)
    for number in range(3):
        again.train_until_evaluation()
        again.save(CheckpointDir(tmp_path))
        fresh = Trainer(check(config), CPU)
        if number:  # what is restored must not be what happens to be there already
            fresh.train_until_evaluation()
        fresh.restore(CheckpointDir(tmp_path))
        assert_equal(fresh, again)
        again = fresh
    assert again.done
    assert_equal(again, whole)


def test_the_seed_makes_the_trial(tiny: TrialConfig) -> None:
    torch.manual_seed(1)
    first = finished(tiny)
    torch.manual_seed(2)
    assert_equal(finished(tiny), first)
    other = finished(tiny.override({"seed": 1}))
    assert all(mine["fid"] != theirs["fid"] for mine, theirs in zip(measured(first), measured(other), strict=True))


def test_a_trial_learns(tiny: TrialConfig) -> None:
    trainer = finished(tiny.override({"train.max_kimg": 1.44, "optim.g_lr": 2e-3, "optim.d_lr": 2e-3}))
    assert trainer.evaluations[-1].fid < trainer.evaluations[0].fid * 0.95


def steps(optimizer: torch.optim.Optimizer) -> set[int]:
    return {int(moments["step"]) for moments in optimizer.state_dict()["state"].values()}


@pytest.mark.parametrize(("d_steps", "g_steps"), [(1, 30), (2, 15), (3, 10), (4, 7), (10, 3)])
def test_d_steps_are_counted_across_evaluations(d_steps: int, g_steps: int, tiny: TrialConfig) -> None:
    trainer = finished(tiny.override({"optim.d_steps": d_steps}))
    assert steps(trainer._state.d_optimizer) == {30} and steps(trainer._state.g_optimizer) == {g_steps}
    assert trainer.shown == 480 and trainer.done


@pytest.mark.parametrize(("loss", "paired"), [("relativistic", True), ("bce", False)])
def test_pairs_have_one_label_in_every_step_of_g(
    loss: str, paired: bool, tiny: TrialConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Labels of further steps are those of the turn's real images for pairs, and drawn anew for other losses."""
    seen: list[tuple[Tensor, Tensor]] = []

    def recorded(state: TrainState, real: Tensor, labels: Tensor, fake: Tensor) -> Tensor:
        seen.append((real, labels))
        return g_step(state, real, labels, fake)

    monkeypatch.setattr(loop, "g_step", recorded)
    changes = {"model.conditioning": "projection", "optim.g_steps": 3, "loss.name": loss}
    Trainer(check(tiny.override(changes)), CPU).train(2)
    assert len(seen) == 6
    for turn in (seen[:3], seen[3:]):
        assert all(torch.equal(turn[0][0], real) for real, _ in turn)
        assert [torch.equal(turn[0][1], labels) for _, labels in turn] == [True, paired, paired]


def test_g_makes_a_step_between_any_two_evaluations(tiny: TrialConfig) -> None:
    with pytest.raises(UserError, match=r"optim\.d_steps=11: there are only 10"):
        check(tiny.override({"optim.d_steps": 11}))


def test_a_checkpoint_of_another_configuration_is_refused(tiny: TrialConfig, tmp_path: Path) -> None:
    trainer = Trainer(check(tiny), CPU)
    trainer.train_until_evaluation()
    trainer.save(CheckpointDir(tmp_path))
    with pytest.raises(UserError, match="another configuration"):
        Trainer(check(tiny.override({"optim.g_lr": 1e-3})), CPU).restore(CheckpointDir(tmp_path))


def test_each_evaluation_is_saved_then_reported(tiny: TrialConfig, tmp_path: Path) -> None:
    checkpoints, reported = CheckpointDir(tmp_path), []

    def report(evaluation: Evaluation) -> None:
        assert checkpoints.best()[1].images == evaluation.images
        reported.append(evaluation)

    trainer = Trainer(check(tiny), CPU)
    run(trainer, report, checkpoints)
    assert reported == trainer.evaluations and len(reported) == 3
    assert all(row.protocol == trainer.reference.protocol.hash and row.images_per_second > 0 for row in reported)


def test_the_best_weights_are_the_average_at_the_lowest_fid(tiny: TrialConfig, tmp_path: Path) -> None:
    checkpoints = CheckpointDir(tmp_path)
    trainer = Trainer(check(tiny.override({"optim.g_lr": 1e-3, "optim.d_lr": 1e-3})), CPU)
    trainer.train_until_evaluation()
    trainer.train_until_evaluation()
    trainer.save(checkpoints)
    average = {name: value.clone() for name, value in trainer._ema.model.state_dict().items()}
    *_, output = trainer._state.G.parameters()
    nn.init.constant_(output, 50.0)  # every z gives a white image from now on
    trainer.train_until_evaluation()
    trainer.save(checkpoints)
    best = min(trainer.evaluations[:2], key=lambda row: row.fid)
    assert best is trainer.evaluations[1] and trainer.evaluations[2].fid > 1.5 * best.fid
    weights, about = checkpoints.best()
    assert (about.best_fid, about.best_kimg, about.images, about.channels) == (best.fid, 0.32, 480, 1)
    assert weights.keys() == average.keys() and all(torch.equal(weights[name], average[name]) for name in average)
    # The FID of these weights is the one they are known by.
    G = trainer._ema.model
    G.load_state_dict(weights)
    with torch.no_grad():
        images = G(torch.randn(64, 16, generator=torch.Generator().manual_seed(0)))
    assert scorer_for(trainer.config, CPU).fid([to_uint8(images)]) == pytest.approx(best.fid, rel=1e-6)


@pytest.mark.parametrize("network", ["G", "D"])
@pytest.mark.parametrize("loss", ["bce", "hinge", "wgan", "wgan-gp"])
def test_a_nan_ends_the_trial_within_eight_d_steps(loss: str, network: str, tiny: TrialConfig) -> None:
    trainer = Trainer(check(tiny.override({"loss.name": loss})), CPU)
    trainer.train_until_evaluation()
    weight = next(getattr(trainer._state, network).parameters())
    weight.data.view(-1)[0] = float("nan")
    with pytest.raises(Diverged, match=r"^non-finite loss at 0\.\d+ kimg$") as caught:
        trainer.train_until_evaluation()
    assert 0 < trainer.shown - 160 <= 8 * 16
    assert caught.value.kimg == trainer.kimg and f"{kimg_text(trainer.kimg)} kimg" in str(caught.value)
    assert len(trainer.evaluations) == 1


@pytest.mark.parametrize(("rate", "network"), [("optim.g_lr", "G"), ("optim.d_lr", "D")])
def test_a_weight_that_overflows_is_found_before_it_is_scored(rate: str, network: str, tiny: TrialConfig) -> None:
    trainer = Trainer(check(tiny.override({rate: 1e38, "train.evaluations": 1, "train.max_kimg": 0.016})), CPU)
    with pytest.raises(Diverged, match=rf"non-finite (weight in {network}|loss) at 0\.016 kimg"):
        trainer.train_until_evaluation()
    assert trainer.evaluations == []


def test_images_that_are_not_finite_have_no_fid(tiny: TrialConfig) -> None:
    trainer = Trainer(check(tiny), CPU)
    for parameter in trainer._ema.model.parameters():
        nn.init.constant_(parameter, float("nan"))
    with pytest.raises(Diverged, match=r"non-finite image at 0\.16 kimg"):
        trainer.train_until_evaluation()


def test_a_trainer_builds_each_part_once(tiny: TrialConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    config, calls = check(tiny), Counter[str]()
    scorer = scorer_for(config, CPU)

    def counted(owner: Any, attribute: str, name: Callable[..., str]) -> None:
        real = getattr(owner, attribute)

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            calls[name(*args)] += 1
            return real(*args, **kwargs)

        monkeypatch.setattr(owner, attribute, wrapper)

    counted(registry, "build", lambda kind, section: kind)
    counted(Model, "generator", lambda *_: "G")
    counted(Model, "discriminator", lambda *_: "D")
    Trainer(config, CPU, scorer)
    assert calls == {"model": 1, "loss": 1, "G": 1, "D": 1}
    check(tiny)
    assert calls["G"] == 2 and calls["data"] == 1, "the counter sees what a check builds"


def test_what_could_only_fail_later_is_refused_at_once(tiny: TrialConfig) -> None:
    wrong = {"train.batch": 2000, "train.evaluations": 1, "train.max_kimg": 2.0}
    with pytest.raises(UserError, match=r"train\.batch=2000: the data set has only 1437 images"):
        Trainer(check(tiny.override(wrong)), CPU)
    with pytest.raises(UserError, match=r"model\.attention_at=16"):
        check(tiny.override({"model.attention_at": 16}))
    with pytest.raises(UserError, match=r"model\.d_norm=batch"):
        check(tiny.override({"model.d_norm": "batch", "loss.name": "wgan-gp"}))
    assert check(check(tiny)) == check(tiny) != tiny


def test_a_divergence_travels_between_processes() -> None:
    error = pickle.loads(pickle.dumps(Diverged("loss", 1.5)))
    assert (str(error), error.kimg) == ("non-finite loss at 1.5 kimg", 1.5)
