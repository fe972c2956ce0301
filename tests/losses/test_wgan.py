"""The constraint of `wgan` and the penalty of `wgan-gp`."""

import pytest
import torch
from torch import Generator, Tensor, nn

from gansearch.losses.wgan import WGAN
from gansearch.losses.wgan_gp import WGANGP

BATCH = 6


def seeded(seed: int = 0) -> Generator:
    return torch.Generator().manual_seed(seed)


def images(seed: int) -> Tensor:
    return torch.rand(BATCH, 1, 8, 8, generator=seeded(seed)) * 2 - 1


def smooth_critic() -> nn.Module:
    """Small, with no kink that finite differences could meet."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return nn.Sequential(nn.Conv2d(1, 4, 4, 4), nn.Tanh(), nn.Flatten(), nn.Linear(16, 1), nn.Flatten(0))


def test_clipping_holds_every_parameter_and_moves_no_other() -> None:
    loss, D = WGAN(clip=0.05), smooth_critic()
    before = [p.detach().clone() for p in D.parameters()]
    assert max(p.abs().max() for p in before) > 0.05
    loss.constrain(D)
    for p, q in zip(D.parameters(), before, strict=True):
        torch.testing.assert_close(p.detach(), q.clamp(-0.05, 0.05), rtol=0, atol=0)


def test_the_penalty_of_a_linear_critic_by_hand() -> None:
    """D(x) = w x has the slope w everywhere: weight * (|w| - 1)^2, with gradient 2 * weight * (|w| - 1) * w / |w|."""
    D = nn.Sequential(nn.Flatten(), nn.Linear(64, 1, bias=False), nn.Flatten(0))
    (w,) = D.parameters()
    penalty = WGANGP(penalty_weight=7.0).penalty(D, images(1), images(2), seeded())
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
    WGANGP().penalty(Watching(), real, fake, seeded())
    (between,) = seen
    share = (between - fake) / (real - fake)
    torch.testing.assert_close(share, share[:, :, :1, :1].expand_as(share), rtol=1e-3, atol=1e-3)
    assert ((share > -1e-3) & (share < 1 + 1e-3)).all() and share[:, 0, 0, 0].unique().numel() == BATCH


def test_the_penalty_s_gradient_against_finite_differences_in_float64() -> None:
    loss, D, real, fake = WGANGP(), smooth_critic(), images(1), images(2)
    penalty = loss.penalty(D, real, fake, seeded())
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
    loss, plain, cast = WGANGP(), smooth_critic(), smooth_critic()
    fake = images(2).bfloat16()
    expected = loss.penalty(plain, images(1), fake.float(), seeded())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        penalty = loss.penalty(cast, images(1), fake, seeded())
    assert penalty.dtype == torch.float32
    torch.testing.assert_close(penalty, expected, rtol=2e-3, atol=0)
    expected.backward()
    penalty.backward()
    for p, q in zip(plain.parameters(), cast.parameters(), strict=True):
        if p.grad is None or q.grad is None:
            assert p.grad is q.grad
        else:
            assert (p.grad - q.grad).norm() < 0.02 * p.grad.norm()
