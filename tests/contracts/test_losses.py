"""Every registered loss holds its contract, so do others that people publish, and broken ones are caught."""

import random
from typing import Annotated, Any, ClassVar

import pytest
import torch
from pydantic import Field
from torch import Generator, Tensor, nn
from torch.nn.functional import relu, softplus

from gansearch import registry
from gansearch.contracts.base import Property
from gansearch.losses.base import Critic, Loss
from gansearch.losses.bce import BCE
from gansearch.losses.hinge import Hinge
from gansearch.losses.lsgan import LSGAN
from gansearch.losses.wgan import WGAN
from gansearch.losses.wgan_gp import WGANGP
from gansearch.registry import component
from tests.contracts.holding import cases, hold, require_fault

Terms = tuple[Tensor, Tensor]


@component
class Saturating(BCE):
    """The minimax game of Goodfellow et al. 2014, equation 1."""

    def generator(self, fake: Tensor, real: Tensor | None, rng: Generator) -> Tensor:
        return -softplus(fake).mean()


@component
class ModifiedMinimax(BCE):
    """Non-saturating, with the logits cut off."""

    limit: Annotated[float, Field(gt=0)] = 20.0

    def generator(self, fake: Tensor, real: Tensor | None, rng: Generator) -> Tensor:
        return -torch.log(torch.sigmoid(fake.clamp(-self.limit, self.limit))).mean()


@component
class RelativisticAverage(Loss):
    """The relativistic average least squares loss (Jolicoeur-Martineau 2018)."""

    pairs: ClassVar[bool] = True

    def discriminator(self, real: Tensor, fake: Tensor, rng: Generator) -> Terms:
        return (real - fake.mean() - 1).square().mean(), (fake - real.mean() + 1).square().mean()

    def generator(self, fake: Tensor, real: Tensor | None, rng: Generator) -> Tensor:
        assert real is not None
        return sum(self.discriminator(fake, real, rng), torch.zeros(()))


@component
class WithR1(BCE):
    """The non-saturating loss with a penalty on D's gradient at real images (Mescheder et al. 2018)."""

    per_image: ClassVar[bool] = True

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, rng: Generator) -> Tensor:
        images = real.detach().clone().requires_grad_()
        (slope,) = torch.autograd.grad(critic(images).sum(), images, create_graph=True)
        return slope.flatten(1).square().sum(1).mean()


LOSSES: dict[str, Loss] = {
    **{name: cls() for name, cls in registry.classes("loss").items()},
    "bce with noise": BCE(smoothing=0.3, label_noise=0.2),
    "lsgan, equation 8": LSGAN(fake_target=-1, real_target=1, g_target=0),
    "lsgan, smoothed": LSGAN(real_target=0.9),
    "wgan, tight": WGAN(clip=1e-4),
    "wgan, loose": WGAN(clip=10),
    "wgan-gp, strong": WGANGP(penalty_weight=1000),
    **{cls.__name__: cls() for cls in (Saturating, ModifiedMinimax, RelativisticAverage, WithR1)},
}


@pytest.mark.parametrize(("each", "loss"), cases("loss", LOSSES))
def test_a_loss_holds_its_contract(each: Property, loss: Loss) -> None:
    hold(each, loss)


def broken(base: type[Loss] = Hinge, **methods: Any) -> Loss:
    return component(type("Broken", (base,), methods))()


def random_penalty(self: Loss, critic: Critic, real: Tensor, fake: Tensor, rng: Generator) -> Tensor:
    return critic(real + torch.randn_like(real)).square().mean()


def greedy_penalty(self: Loss, critic: Critic, real: Tensor, fake: Tensor, rng: Generator) -> Tensor:
    (slope,) = torch.autograd.grad(critic(real.requires_grad_()).sum(), real, create_graph=True)
    return slope.square().sum()


def cut_penalty(self: Loss, critic: Critic, real: Tensor, fake: Tensor, rng: Generator) -> Tensor:
    images = real.clone().requires_grad_()
    (slope,) = torch.autograd.grad(critic(images).sum(), images)
    return slope.square().sum()


def shrink(self: Loss, D: nn.Module) -> None:
    for parameter in D.parameters():
        parameter.data.mul_(0.9)


BROKEN: list[tuple[str, Loss, str]] = [
    (
        "D's sign is flipped",
        broken(discriminator=lambda self, real, fake, rng: (real.mean(), -fake.mean())),
        r"Fifty steps .*: a real image has the higher logit in 0% of all pairs",
    ),
    (
        "G's sign is flipped",
        broken(generator=lambda self, fake, real, rng: fake.mean()),
        r"Steps on G's loss .*: 5 steps of G change the mean logit of its images by -",
    ),
    (
        "constant",
        broken(discriminator=lambda self, real, fake, rng: (torch.zeros(()), torch.zeros(()))),
        r"depends on the logits.*: D's loss has no gradient by the logits of real images: compute it from",
    ),
    (
        "detached",
        broken(generator=lambda self, fake, real, rng: -fake.detach().mean()),
        r"depends on the logits.*: G's loss has no gradient by the logits of generated images: compute it from",
    ),
    (
        "half detached",
        broken(discriminator=lambda self, real, fake, rng: (relu(1 - real).mean(), relu(1 + fake.detach()).mean())),
        r"depends on the logits.*: D's loss has no gradient by the logits of generated images",
    ),
    (
        "torch's global generator",
        broken(discriminator=lambda self, real, fake, rng: (relu(torch.rand(()) - real).mean(), relu(1 + fake).mean())),
        r"from `rng` alone\.: it draws from torch's global generator",
    ),
    (
        "Python's generator",
        broken(generator=lambda self, fake, real, rng: -random.random() * fake.mean()),
        r"from `rng` alone\.: the same `rng` gives other values",
    ),
    ("a penalty from torch's global generator", broken(penalty=random_penalty), r"`rng` alone\.: it draws from torch"),
    (
        "not a number",
        broken(generator=lambda self, fake, real, rng: -torch.log(torch.sigmoid(fake)).mean()),
        r"finite float32 scalars.*: G's loss is inf for real logits",
    ),
    (
        "an infinite gradient",
        broken(generator=lambda self, fake, real, rng: -(fake - 0.3).abs().sqrt().mean()),
        r"finite float32 scalars.*: the gradient of G's loss is not finite",
    ),
    (
        "no scalar",
        broken(generator=lambda self, fake, real, rng: -fake),
        r"finite float32 scalars.*: G's loss has the shape \(4,\): return a scalar, the mean over images",
    ),
    (
        "float64",
        broken(generator=lambda self, fake, real, rng: -fake.double().mean()),
        r"finite float32 scalars.*: G's loss is torch\.float64, not float32",
    ),
    (
        "no pair",
        broken(discriminator=lambda self, real, fake, rng: relu(1 - real).mean() + relu(1 + fake).mean()),
        r"`discriminator` does not return a pair: return the term of real and that of generated images, or half",
    ),
    (
        "real logits that were not asked for",
        broken(generator=lambda self, fake, real, rng: (real - fake).mean()),
        r"`pairs` is set.*: without real logits G's loss fails .*: set `pairs` to True",
    ),
    (
        "pairs for nothing",
        broken(pairs=True),
        r"`pairs` is set.*: G's loss is the same for all real logits: leave `pairs`",
    ),
    ("a penalty on the images themselves", broken(penalty=greedy_penalty), r"Its penalty .*: it changes the images"),
    ("a hidden gradient", broken(WithR1, per_image=False), r"Its penalty .*: it differentiates D by images: set `per_"),
    ("a cut gradient", broken(penalty=cut_penalty, per_image=True), r"Its penalty .*: .*use create_graph=True"),
    ("a constraint without end", broken(constrain=shrink), r"Its constraint.*: `constrain`, called again, changes "),
    ("a class term of its own", broken(auxiliary=lambda *_: 1.0), r"Its class term .*: it is not 0 without classes"),
    (
        "no component",
        type("Plain", (Hinge,), {"__annotations__": {"margin": float}, "margin": 1.0})(),
        r"survive.*: Plain lacks the options that it declares: decorate it with @comp",
    ),
]


@pytest.mark.parametrize(("loss", "reason"), [pytest.param(*rest, id=name) for name, *rest in BROKEN])
def test_a_broken_loss_is_caught_in_one_line(loss: Loss, reason: str) -> None:
    require_fault("loss", loss, reason)
