"""One D step and one G step: who moves, and who does not."""

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gansearch import registry
from gansearch.config import LossConfig, TrialConfig
from gansearch.models.base import ImageShape
from gansearch.training.build import build_networks
from gansearch.training.step import TrainState, d_step, g_step

BATCH, Z, SIZE = 8, 6, 8
LOSSES = sorted(registry.classes("loss"))


def state_of(**changes: Any) -> TrainState:
    paths = {path.replace("__", "."): value for path, value in changes.items()}
    small = {"train.precision": "float32", "model.features": 8, "model.z_dim": Z, "data.resolution": SIZE}
    config = registry.resolve(TrialConfig().override(small | paths))
    G, D = build_networks(config, ImageShape(1, SIZE, 5), torch.device("cpu"))
    rng = torch.Generator().manual_seed(0)
    return TrainState.create(config, G, D, registry.build("loss", config.loss), rng)


def real(seed: int = 1) -> Tensor:
    return torch.rand(BATCH, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def z(seed: int = 2) -> Tensor:
    return torch.randn(BATCH, Z, generator=torch.Generator().manual_seed(seed))


def move_d(state: TrainState, seed: int = 2, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
    return d_step(state, real(), labels, state.generate(z(seed), labels, for_g=False))


def move_g(state: TrainState, seed: int = 2, labels: Tensor | None = None) -> Tensor:
    return g_step(state, real(), labels, state.generate(z(seed), labels, for_g=True))


def weights(network: nn.Module) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in network.parameters()]


def same(network: nn.Module, before: list[Tensor]) -> list[bool]:
    return [torch.equal(parameter, old) for parameter, old in zip(network.parameters(), before, strict=True)]


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("spectral_norm", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
def test_a_step_moves_its_own_player_alone(loss: str, spectral_norm: bool, precision: str) -> None:
    state = state_of(loss__name=loss, model__spectral_norm=spectral_norm, train__precision=precision)
    g_before, d_before = weights(state.G), weights(state.D)
    terms = move_d(state)
    assert all(same(state.G, g_before)) and all(p.grad is None for p in state.G.parameters())
    assert not any(moved for moved, old in zip(same(state.D, d_before), d_before, strict=True) if old.dim() > 1)
    d_before, d_grads = weights(state.D), [p.grad.clone() for p in state.D.parameters() if p.grad is not None]
    term = move_g(state, 3)
    assert all(same(state.D, d_before)) and not any(same(state.G, g_before))
    assert all(p.requires_grad for p in state.D.parameters())
    left = [p.grad for p in state.D.parameters() if p.grad is not None]
    assert all(torch.equal(p, q) for p, q in zip(left, d_grads, strict=True))
    for value in (*terms, term):
        assert value.shape == () and value.dtype == torch.float32 and value.isfinite() and not value.requires_grad


@pytest.mark.parametrize("loss", LOSSES)
def test_the_reported_losses_are_those_before_the_step(loss: str) -> None:
    state, twin = (state_of(loss__name=loss, model__d_norm="none") for _ in range(2))
    with torch.no_grad():
        expected = twin.loss.discriminator(twin.D(real()).logits, twin.D(twin.G(z())).logits, twin.rng)
    torch.testing.assert_close(move_d(state), expected)
    with torch.no_grad():
        of_real = state.D(real()).logits if twin.loss.pairs else None
        score = twin.loss.generator(state.D(twin.G(z(3))).logits, of_real, twin.rng)
    torch.testing.assert_close(move_g(state, 3), score)


@pytest.mark.parametrize("loss", LOSSES)
def test_steps_go_down_their_own_slope(loss: str) -> None:
    """Many steps of one network against a resting one lower that network's loss."""
    state = state_of(loss__name=loss, model__d_norm="none", optim__g_lr=1e-3, optim__d_lr=1e-3)
    d_losses = [torch.stack(move_d(state)).sum().item() for _ in range(30)]
    assert d_losses[-1] < d_losses[0] - 1e-3
    g_losses = [move_g(state).item() for _ in range(30)]
    assert g_losses[-1] < g_losses[0] - 1e-3


def test_a_constraint_holds_after_every_d_step() -> None:
    state = state_of(loss__name="wgan", loss__clip=0.03, optim__d_lr=0.1)
    move_d(state)
    bounds = [parameter.abs().max().item() for parameter in state.D.parameters()]
    assert max(bounds) == pytest.approx(0.03)


def test_a_penalty_counts() -> None:
    """A penalty that weighs nearly nothing, and one that outweighs the rest, move D apart."""
    ends = []
    for weight in (1e-6, 1e3):
        state = state_of(loss__name="wgan-gp", loss__penalty_weight=weight)
        move_d(state)
        ends.append(weights(state.D))
    assert not any(torch.equal(p, q) for p, q in zip(*ends, strict=True) if p.dim() > 1)


def test_d_sees_what_the_replay_buffer_has_mixed() -> None:
    """At its second step D sees the fakes of the first, whatever z that step is given."""
    state, twin = (state_of(replay__every=2, replay__fraction=1.0, replay__capacity=BATCH) for _ in range(2))
    move_d(state)
    move_d(twin)
    assert torch.equal(move_d(state, 3)[1], move_d(twin, 4)[1])
    plain, other = state_of(), state_of()
    move_d(plain)
    move_d(other)
    assert not torch.equal(move_d(plain, 3)[1], move_d(other, 4)[1])


class Recording(nn.Module):
    """A D that notes which labels come with which images."""

    def __init__(self, D: nn.Module) -> None:
        super().__init__()
        self.D = D
        self.seen: list[tuple[Tensor, Tensor]] = []

    def forward(self, images: Tensor, labels: Tensor) -> Any:
        self.seen.append((images.detach().clone(), labels.clone()))
        return self.D(images, labels)


LABELS = torch.arange(BATCH) % 5


@pytest.mark.parametrize("replay", [0, 1])
def test_every_image_meets_its_own_label(replay: int) -> None:
    state = state_of(model__conditioning="concat", loss__name="wgan-gp", replay__every=replay, replay__capacity=BATCH)
    D = Recording(state.D)
    state = replace(state, D=D, d_forward=D)
    fakes = {}
    for labels, seed in ((LABELS, 2), (LABELS.flip(0), 3)):
        D.seen.clear()
        with torch.no_grad():
            fakes[seed] = copy.deepcopy(state.G)(z(seed), labels)
        move_d(state, seed, labels)
    (of_real, real_labels), (of_fake, fake_labels), (between, between_labels) = D.seen
    assert torch.equal(of_real, real()) and torch.equal(real_labels, labels)
    known = [
        (image, label)
        for seed, own in ((2, LABELS), (3, labels))
        for image, label in zip(fakes[seed], own, strict=True)
    ]
    for image, label in zip(of_fake, fake_labels, strict=True):
        assert any(label == own and torch.allclose(image, other, atol=2e-3) for other, own in known)
    assert replay == 0 or not torch.allclose(of_fake, fakes[3], atol=2e-3)
    # Between a real image and the fake of its own step and label, also where D itself saw earlier fakes.
    assert torch.equal(between_labels, labels)
    share = (between - fakes[3]) / (real() - fakes[3])
    assert share.flatten(1).std(1).max() < 1e-2
    D.seen.clear()
    move_g(state, 4, LABELS)
    ((_, g_labels),) = D.seen
    assert torch.equal(g_labels, LABELS)


@pytest.mark.parametrize(("loss", "passes"), [("bce", 1), ("relativistic", 2)])
def test_d_sees_real_images_in_a_step_of_g_only_where_the_loss_asks_for_pairs(loss: str, passes: int) -> None:
    state = state_of(model__conditioning="concat", loss__name=loss)
    D = Recording(state.D)
    state = replace(state, D=D, d_forward=D)
    fake = state.generate(z(), LABELS, for_g=True)
    g_step(state, real(), LABELS, fake)
    seen = {torch.equal(images, real()): labels for images, labels in D.seen}
    assert len(D.seen) == passes and len(seen) == passes
    assert all(torch.equal(labels, LABELS) for labels in seen.values())


def test_acgan_learns_the_classes() -> None:
    """The class term alone moves the class head; G feels it too."""
    state = state_of(model__conditioning="acgan", optim__d_lr=1e-2)
    head = state.D.head.classes
    before = head.weight.detach().clone()
    for _ in range(60):
        move_d(state, 2, LABELS)
    assert not torch.equal(head.weight, before)
    with torch.no_grad():
        found = state.D(real()).classes
        assert found is not None and (found.argmax(1) == LABELS).all()
    without = replace(copy.deepcopy(state), loss=registry.build("loss", LossConfig(class_weight=0)))
    move_g(state, 2, LABELS)
    move_g(without, 2, LABELS)
    assert not all(torch.equal(p, q) for p, q in zip(state.G.parameters(), without.G.parameters(), strict=True))
