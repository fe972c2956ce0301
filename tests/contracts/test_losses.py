"""What every registered loss must do, a new one included; and what the known ones compute."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn

from gansearch import registry
from gansearch.config import LossConfig
from gansearch.losses.base import Loss

NAMES = sorted(registry.classes("loss"))
BATCH = 6


def loss_of(name: str, **options: Any) -> Loss:
    return registry.build("loss", LossConfig.model_validate({"name": name, **options}))


def seeded(seed: int = 0) -> Generator:
    return torch.Generator().manual_seed(seed)


def images(seed: int) -> Tensor:
    return torch.rand(BATCH, 1, 8, 8, generator=seeded(seed)) * 2 - 1


def smooth_critic() -> nn.Module:
    """Small, with no kink that finite differences could meet."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return nn.Sequential(nn.Conv2d(1, 4, 4, 4), nn.Tanh(), nn.Flatten(), nn.Linear(16, 1), nn.Flatten(0))


def terms(loss: Loss) -> dict[str, Callable[[Tensor], Tensor]]:
    return {
        "real": lambda logits: loss.real(logits, seeded()),
        "fake": lambda logits: loss.fake(logits, seeded()),
        "generator": loss.generator,
    }


@pytest.mark.parametrize("name", NAMES)
def test_terms_are_finite_scalars_and_means(name: str) -> None:
    logits = torch.tensor([0.3, -2.0, 1e4, -1e4])
    for term, compute in terms(loss_of(name)).items():
        value = compute(logits)
        assert value.shape == () and value.dtype == torch.float32 and value.isfinite(), term
        one_by_one = torch.stack([compute(logit[None]) for logit in logits]).mean()
        torch.testing.assert_close(value, one_by_one, msg=f"{term} hangs on the batch")


@pytest.mark.parametrize("name", NAMES)
def test_networks_pull_the_logits_their_way(name: str) -> None:
    wanted = {"real": -1, "fake": 1, "generator": -1}
    for term, compute in terms(loss_of(name)).items():
        logits = torch.zeros(4, requires_grad=True)
        compute(logits).backward()
        assert logits.grad is not None and (logits.grad.sign() == wanted[term]).all(), term


@pytest.mark.parametrize("name", NAMES)
def test_a_discriminator_that_is_right_has_the_lower_loss(name: str) -> None:
    real, fake, generator = terms(loss_of(name)).values()
    high, low = torch.full((4,), 3.0), torch.full((4,), -3.0)
    undecided = real(high * 0) + fake(high * 0)
    assert real(high) + fake(low) < undecided < real(low) + fake(high)
    assert generator(high) < generator(low)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_reach_every_weight_of_the_network_that_moves(name: str) -> None:
    loss, D = loss_of(name), smooth_critic()
    G = nn.Sequential(nn.Linear(3, 64), nn.Tanh(), nn.Unflatten(1, (1, 8, 8)))
    fake = G(torch.randn(BATCH, 3, generator=seeded()))
    penalty = loss.penalty(D, images(1), fake.detach(), seeded())
    total = loss.real(D(images(1)), seeded()) + loss.fake(D(fake.detach()), seeded()) * 0.5
    (total if penalty is None else total + penalty).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in D.parameters())
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in D.parameters() if p.dim() > 1)
    assert all(p.grad is None for p in G.parameters())
    loss.generator(D(fake)).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in G.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_a_penalty_is_a_finite_scalar_that_the_seed_decides(name: str) -> None:
    loss, D = loss_of(name), smooth_critic()
    penalty = loss.penalty(D, images(1), images(2), seeded())
    if penalty is None:
        return
    assert penalty.shape == () and penalty.dtype == torch.float32 and penalty.isfinite() and penalty >= 0
    assert loss.penalty(D, images(1), images(2), seeded()) == penalty
    assert loss.penalty(D, images(1), images(2), seeded(1)) != penalty


@pytest.mark.parametrize("name", NAMES)
def test_a_constraint_once_met_stays_met(name: str) -> None:
    loss, D = loss_of(name), smooth_critic()
    loss.constrain(D)
    met = [p.detach().clone() for p in D.parameters()]
    loss.constrain(D)
    assert all(torch.equal(p, q) and p.requires_grad for p, q in zip(D.parameters(), met, strict=True))


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


# On the logits 1 and -2.
KNOWN = {
    "bce": ((softplus(-1) + softplus(2)) / 2, (softplus(1) + softplus(-2)) / 2, (softplus(-1) + softplus(2)) / 2),
    "hinge": ((0 + 3) / 2, (2 + 0) / 2, 0.5),
    "wgan": (0.5, -0.5, 0.5),
    "wgan-gp": (0.5, -0.5, 0.5),
}


@pytest.mark.parametrize("name", KNOWN)
def test_the_known_losses_in_closed_form(name: str) -> None:
    logits = torch.tensor([1.0, -2.0])
    values = [compute(logits).item() for compute in terms(loss_of(name)).values()]
    assert values == pytest.approx(KNOWN[name], rel=1e-6)


def test_clipping_holds_every_parameter_and_moves_no_other() -> None:
    loss, D = loss_of("wgan", clip=0.05), smooth_critic()
    before = [p.detach().clone() for p in D.parameters()]
    assert max(p.abs().max() for p in before) > 0.05
    loss.constrain(D)
    for p, q in zip(D.parameters(), before, strict=True):
        torch.testing.assert_close(p.detach(), q.clamp(-0.05, 0.05), rtol=0, atol=0)


@pytest.mark.parametrize("name", sorted(set(KNOWN) - {"wgan"}))
def test_the_others_leave_the_weights_alone(name: str) -> None:
    D = smooth_critic()
    before = [p.detach().clone() for p in D.parameters()]
    loss_of(name).constrain(D)
    assert all(torch.equal(p, q) for p, q in zip(D.parameters(), before, strict=True))


def test_the_penalty_of_a_linear_critic_by_hand() -> None:
    """D(x) = w x has the slope w everywhere: weight * (|w| - 1)^2, with gradient 2 * weight * (|w| - 1) * w / |w|."""
    D = nn.Sequential(nn.Flatten(), nn.Linear(64, 1, bias=False), nn.Flatten(0))
    (w,) = D.parameters()
    penalty = loss_of("wgan-gp", penalty_weight=7.0).penalty(D, images(1), images(2), seeded())
    assert penalty is not None
    penalty.backward()
    norm = w.detach().norm()
    torch.testing.assert_close(penalty.detach(), 7 * (norm - 1) ** 2)
    torch.testing.assert_close(w.grad, 14 * (norm - 1) * w.detach() / norm)


def test_the_penalty_lies_between_pairs() -> None:
    seen = []

    class Watching(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(x.detach())
            return x.flatten(1).square().sum(1)

    real, fake = images(1), images(2)
    loss_of("wgan-gp").penalty(Watching(), real, fake, seeded())
    (between,) = seen
    share = (between - fake) / (real - fake)
    torch.testing.assert_close(share, share[:, :, :1, :1].expand_as(share), rtol=1e-3, atol=1e-3)
    assert ((share > -1e-3) & (share < 1 + 1e-3)).all() and share[:, 0, 0, 0].unique().numel() == BATCH


def test_the_penalty_s_gradient_against_finite_differences_in_float64() -> None:
    loss, D, real, fake = loss_of("wgan-gp"), smooth_critic(), images(1), images(2)
    penalty = loss.penalty(D, real, fake, seeded())
    assert penalty is not None
    penalty.backward()
    mix = torch.rand(BATCH, 1, 1, 1, generator=seeded()).double()
    wide = smooth_critic().double()
    points = (mix * real.double() + (1 - mix) * fake.double()).requires_grad_()

    def by_formula() -> float:
        (slope,) = torch.autograd.grad(wide(points).sum(), points)
        return 10 * (slope.flatten(1).norm(dim=1) - 1).square().mean().item()

    assert penalty.item() == pytest.approx(by_formula(), rel=1e-5)
    step = 1e-6
    for weight, exact in zip(wide.parameters(), D.parameters(), strict=True):
        measured = torch.zeros_like(weight)
        for index in range(weight.numel()):
            flat = weight.data.view(-1)
            flat[index] += step
            up = by_formula()
            flat[index] -= 2 * step
            measured.view(-1)[index] = (up - by_formula()) / (2 * step)
            flat[index] += step
        # The last bias moves every logit alike, so that no slope hangs on it.
        gradient = torch.zeros_like(exact) if exact.grad is None else exact.grad
        torch.testing.assert_close(gradient.double(), measured, rtol=1e-3, atol=1e-5)


def test_the_penalty_is_nearly_the_same_under_autocast() -> None:
    loss, plain, cast = loss_of("wgan-gp"), smooth_critic(), smooth_critic()
    fake = images(2).bfloat16()
    expected = loss.penalty(plain, images(1), fake.float(), seeded())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        penalty = loss.penalty(cast, images(1), fake, seeded())
    assert expected is not None and penalty is not None and penalty.dtype == torch.float32
    torch.testing.assert_close(penalty, expected, rtol=2e-3, atol=0)
    expected.backward()
    penalty.backward()
    for p, q in zip(plain.parameters(), cast.parameters(), strict=True):
        if p.grad is None or q.grad is None:
            assert p.grad is q.grad
        else:
            assert (p.grad - q.grad).norm() < 0.02 * p.grad.norm()


def test_smoothed_labels_are_one_sided_and_lie_where_they_should() -> None:
    """The cross entropy to a target t has its minimum where the sigmoid is t; the mean of U[0.8, 1] is 0.9."""
    loss = loss_of("bce", smoothing=0.2)
    logits = torch.zeros(20_000, requires_grad=True)
    loss.real(logits, seeded()).backward()
    assert logits.grad is not None
    targets = 0.5 - logits.grad * len(logits)
    assert targets.min() >= 0.8 and targets.max() <= 1 and targets.mean().item() == pytest.approx(0.9, abs=0.002)
    assert loss.fake(logits, seeded()).item() == pytest.approx(math.log(2))
    assert torch.equal(loss.fake(torch.ones(3), seeded()), loss_of("bce").fake(torch.ones(3), seeded()))
    assert torch.equal(loss.generator(torch.ones(3)), loss_of("bce").generator(torch.ones(3)))


@pytest.mark.parametrize("side", ["real", "fake"])
def test_noisy_labels_swap_their_share(side: str) -> None:
    loss = loss_of("bce", label_noise=0.1)
    logits = torch.zeros(20_000, requires_grad=True)
    getattr(loss, side)(logits, seeded()).backward()
    assert logits.grad is not None
    swapped = (logits.grad > 0) if side == "real" else (logits.grad < 0)
    assert swapped.double().mean().item() == pytest.approx(0.1, abs=0.01)
    assert torch.equal(getattr(loss, side)(logits, seeded(4)), getattr(loss, side)(logits, seeded(4)))


@pytest.mark.parametrize("name", NAMES)
def test_the_class_term_is_a_weighed_cross_entropy_where_there_are_classes(name: str) -> None:
    loss = loss_of(name, class_weight=0.5)
    assert loss.auxiliary(None, torch.tensor([1])) == 0
    value = loss.auxiliary(torch.tensor([[2.0, 0.0], [0.0, 0.0]]), torch.tensor([0, 1]))
    assert float(value) == pytest.approx(0.5 * (math.log(1 + math.exp(-2)) + math.log(2)) / 2)
