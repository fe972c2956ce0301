"""The contract of a loss. The steps are the trainer's own, with a small G and D."""

import copy
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Generator, Tensor, nn

from gansearch.config import TrialConfig
from gansearch.contracts.base import Violation, changed, holds, require, require_gradients
from gansearch.losses.base import Critic, Loss
from gansearch.models.conditional import Discriminator, Plain
from gansearch.models.conditional import Generator as GeneratorNet
from gansearch.training.step import TrainState, d_step, g_step

SUBJECT = Loss

_BATCH, _Z, _SIZE = 64, 4, 8
_D_STEPS = 50
_G_STEPS = 5
_UNSEEN = 1000  # the seed of images that no step trains on
_CPU = torch.device("cpu")


def _rng(seed: int = 0) -> Generator:
    return torch.Generator().manual_seed(seed)


def _logits(seed: int) -> Tensor:
    """Logits of an undecided D, close enough to 0 for every margin to count."""
    return 0.1 * torch.randn(16, generator=_rng(seed))


def _real(seed: int) -> Tensor:
    """Real images (N, 1, 8, 8), brighter than G's."""
    return (0.5 + 0.3 * torch.randn(_BATCH, 1, _SIZE, _SIZE, generator=_rng(seed))).clamp(-1, 1)


def _state(loss: Loss) -> TrainState:
    """Returns a small G and D at the start of their training; their layers are smooth, so every derivative exists."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        up = nn.Sequential(nn.Linear(_Z, _SIZE**2), nn.Tanh(), nn.Unflatten(1, (1, _SIZE, _SIZE)))
        down = nn.Sequential(nn.Conv2d(1, 8, 4, 4), nn.Tanh(), nn.Flatten())
        D = Discriminator(down, Plain(32, 0, sn=False), dropout=0.0)
    config = TrialConfig().override({"train.precision": "float32", "optim.d_lr": 1e-2, "optim.g_lr": 1e-3})
    return TrainState.create(config, GeneratorNet(up, 0), D, loss, _rng())


def _fake(state: TrainState, seed: int, *, for_g: bool = False) -> Tensor:
    return state.generate(torch.randn(_BATCH, _Z, generator=_rng(seed)), None, for_g=for_g)


def _trained(loss: Loss) -> TrainState:
    """Returns the state after `_D_STEPS` steps of D."""
    state = _state(loss)
    for step in range(_D_STEPS):
        d_step(state, _real(step), None, _fake(state, step))
    return state


@torch.no_grad()
def _judged(state: TrainState) -> tuple[Tensor, Tensor]:
    """Returns D's logits of real and of generated images that it was not trained on."""
    return state.D(_real(_UNSEEN)).logits, state.D(_fake(state, _UNSEEN)).logits


def _critic(state: TrainState) -> Critic:
    return lambda images: state.D(images).logits


def _terms(loss: Loss, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
    """Returns all that is computed from logits."""
    rng = _rng()
    terms = loss.discriminator(real, fake, rng)
    require(
        isinstance(terms, tuple) and len(terms) == 2,
        "`discriminator` does not return a pair: return the term of real and that of generated images, or half the "
        "loss twice",
    )
    names = "D's term of real images", "D's term of generated images", "G's loss"
    return dict(zip(names, (*terms, loss.generator(fake, real if loss.pairs else None, rng)), strict=True))


def _require_scalar(name: str, value: Tensor) -> None:
    require(isinstance(value, Tensor), f"{name} is {type(value).__name__}, not a tensor")
    require(value.shape == (), f"{name} has the shape {tuple(value.shape)}: return a scalar, the mean over images")
    require(value.dtype == torch.float32, f"{name} is {value.dtype}, not float32")


@holds(
    "Its terms are finite float32 scalars with finite gradients, for one image and for logits up to 10,000.",
    each_option=True,
)
def terms_are_finite_scalars(loss: Loss) -> None:
    extreme = torch.tensor([0.3, -2.0, 1e4, -1e4])
    cases = [(extreme, extreme), (extreme, extreme.flip(0)), *((x[None], y[None]) for x in extreme for y in extreme)]
    for of_real, of_fake in cases:
        real, fake = of_real.clone().requires_grad_(), of_fake.clone().requires_grad_()
        where = f"for real logits {of_real.tolist()} and generated ones {of_fake.tolist()}"
        for name, value in _terms(loss, real, fake).items():
            _require_scalar(name, value)
            require(value.isfinite(), f"{name} is {value.item()} {where}")
            if not value.requires_grad:
                continue
            for slope in torch.autograd.grad(value, (real, fake), allow_unused=True, retain_graph=True):
                require(slope is None or slope.isfinite().all(), f"the gradient of {name} is not finite {where}")


@holds(
    "D's loss depends on the logits of real and of generated images, G's on those of generated ones.", each_option=True
)
def logits_have_gradients(loss: Loss) -> None:
    real, fake = _logits(1).requires_grad_(), _logits(2).requires_grad_()
    of_real, of_fake, of_g = _terms(loss, real, fake).values()
    for name, value, logits in (
        ("D's loss has no gradient by the logits of real images", of_real + of_fake, real),
        ("D's loss has no gradient by the logits of generated images", of_real + of_fake, fake),
        ("G's loss has no gradient by the logits of generated images", of_g, fake),
    ):
        require(value.requires_grad, f"{name}: compute it from the logits, without detaching them")
        (slope,) = torch.autograd.grad(value, logits, allow_unused=True, retain_graph=True)
        require(slope is not None and slope.abs().sum() > 0, name)


@holds("G's loss depends on real logits where `pairs` is set, and needs none where it is not.")
def pairs_says_what_g_looks_at(loss: Loss) -> None:
    if not loss.pairs:
        try:
            loss.generator(_logits(1), None, _rng())
        except (TypeError, AttributeError) as error:
            raise Violation(f"without real logits G's loss fails ({error}): set `pairs` to True") from error
        return
    values = [loss.generator(_logits(1), real, _rng()) for real in (_logits(2), 3 * _logits(2))]
    require(
        not torch.equal(*values), "G's loss is the same for all real logits: leave `pairs` out, which costs a pass of D"
    )


@holds(
    "Fifty steps on D's loss part real from generated images: the real ones have the higher logits.", each_option=True
)
def d_learns_to_part_them(loss: Loss) -> None:
    before, state = _state(loss), _trained(loss)
    real, fake = _judged(before)
    margin = (real.mean() - fake.mean()).item()
    real, fake = _judged(state)
    share = (real[:, None] > fake).float().mean().item()
    gained = (real.mean() - fake.mean()).item()
    require(
        gained > 0 and share > 0.75,
        f"a real image has the higher logit in {share:.0%} of all pairs; the means differ by {gained:.3g}, by "
        f"{margin:.3g} before",
    )


@holds("Steps on G's loss raise D's logits of generated images.", each_option=True)
def g_learns_to_be_judged_real(loss: Loss) -> None:
    state = _trained(loss)
    _, before = _judged(state)
    for step in range(_G_STEPS):
        g_step(state, _real(step), None, _fake(state, step, for_g=True))
    _, after = _judged(state)
    change = (after.mean() - before.mean()).item()
    require(change > 0, f"{_G_STEPS} steps of G change the mean logit of its images by {change:.3g}")


@holds(
    "A D step gives every weight of D a gradient and G none; a G step gives every weight of G one.", each_option=True
)
def gradients_reach_every_weight(loss: Loss) -> None:
    state = _state(loss)
    d_step(state, _real(0), None, _fake(state, 0, for_g=True))
    require_gradients("D", state.D)
    require(all(parameter.grad is None for parameter in state.G.parameters()), "a D step leaves gradients in G")
    g_step(state, _real(0), None, _fake(state, 0, for_g=True))
    require_gradients("G", state.G)


@holds("Its random numbers come from `rng` alone.", each_option=True)
def random_numbers_come_from_rng(loss: Loss) -> None:
    found = []
    for seed in (1, 2):
        with _global_seeds(seed):
            before = torch.get_rng_state()
            state = _state(loss)
            values = list(_terms(loss, _logits(1), _logits(2)).values())
            penalty = loss.penalty(_critic(state), _real(1), _real(2), _rng())
            require(
                torch.equal(torch.get_rng_state(), before), "it draws from torch's global generator: draw from `rng`"
            )
            found.append(torch.stack([*values, torch.zeros(()) if penalty is None else penalty]))
    require(torch.equal(*found), f"the same `rng` gives other values: {found[0].tolist()}, then {found[1].tolist()}")


@contextmanager
def _global_seeds(seed: int) -> Iterator[None]:
    """Seeds the generators that a loss must not use, and restores them afterwards."""
    of_python, of_numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        for seeds in (random.seed, np.random.seed, torch.manual_seed):
            seeds(seed)
        try:
            yield
        finally:
            random.setstate(of_python)
            np.random.set_state(of_numpy)


@holds("Its penalty is a finite float32 scalar that moves D, and leaves the images as they were.", each_option=True)
def penalty_is_a_scalar(loss: Loss) -> None:
    state, real, fake = _state(loss), _real(1), _real(2)
    asked: list[bool] = []

    def critic(images: Tensor) -> Tensor:
        asked.append(images.requires_grad)
        return _critic(state)(images)

    penalty = loss.penalty(critic, real, fake, _rng())
    for images, seed in ((real, 1), (fake, 2)):
        require(
            torch.equal(images, _real(seed)) and not images.requires_grad,
            "it changes the images that it is given, or their requires_grad: work on images.detach().clone()",
        )
    if penalty is None:
        return
    _require_scalar("the penalty", penalty)
    require(penalty.isfinite(), f"the penalty is {penalty.item()}")
    require(loss.per_image or not any(asked), "it differentiates D by images: set `per_image` to True")
    require(penalty.requires_grad, "the penalty has no gradient: use create_graph=True where it differentiates D")
    penalty.backward()
    slopes = [parameter.grad for parameter in state.D.parameters() if parameter.grad is not None]
    require(all(slope.isfinite().all() for slope in slopes), "the gradient of the penalty is not finite")
    require(any(slope.abs().sum() > 0 for slope in slopes), "the penalty gives no weight of D a gradient")


@holds("Its constraint, once met, stays met, and leaves the weights trainable.", each_option=True)
def constraint_stays_met(loss: Loss) -> None:
    D = _state(loss).D
    loss.constrain(D)
    met = copy.deepcopy(D)
    loss.constrain(D)
    for (name, parameter), before in zip(D.named_parameters(), met.parameters(), strict=True):
        require(parameter.isfinite().all(), f"`constrain` makes {name} not finite")
        require(
            parameter.requires_grad and parameter.is_leaf, f"`constrain` makes {name} untrainable: use torch.no_grad()"
        )
        require(
            torch.allclose(parameter, before, rtol=1e-3, atol=1e-6), f"`constrain`, called again, changes {name} again"
        )


@holds("Its class term is 0 where D predicts no classes, and lower where D predicts the right ones.")
def class_term_prefers_the_right_classes(loss: Loss) -> None:
    labels = torch.tensor([0, 1, 2])
    require(
        float(loss.auxiliary(None, labels)) == 0 == float(loss.auxiliary(None, None)), "it is not 0 without classes"
    )
    right = 3 * torch.eye(3)
    weighted = changed(loss, class_weight=0.5)
    values = [float(weighted.auxiliary(classes, labels)) for classes in (right, right.flip(0))]
    require(0 <= values[0] < values[1], f"it is {values[0]:g} for the right classes and {values[1]:g} for wrong ones")
