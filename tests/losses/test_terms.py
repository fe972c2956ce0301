"""What the known losses compute from logits, in closed form."""

import math
from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn

from gansearch import registry
from gansearch.config import LossConfig
from gansearch.errors import UserError
from gansearch.losses.base import Loss

NAMES = sorted(registry.classes("loss"))


def loss_of(name: str, **options: Any) -> Loss:
    return registry.build("loss", LossConfig.model_validate({"name": name, **options}))


def seeded(seed: int = 0) -> Generator:
    return torch.Generator().manual_seed(seed)


def terms(loss: Loss, real: Tensor, fake: Tensor) -> list[float]:
    """The two terms of D's loss and G's loss."""
    return [
        value.item()
        for value in (
            *loss.discriminator(real, fake, seeded()),
            loss.generator(fake, real if loss.pairs else None, seeded()),
        )
    ]


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


# D's term of real images, of generated ones, and G's loss, for the logits 1 and -2 of real images, 0 and 3 of others.
KNOWN: list[tuple[str, dict[str, float], tuple[float, float, float]]] = [
    (
        "bce",
        {},
        ((softplus(-1) + softplus(2)) / 2, (softplus(0) + softplus(3)) / 2, (softplus(0) + softplus(-3)) / 2),
    ),
    ("hinge", {}, ((0 + 3) / 2, (1 + 4) / 2, -1.5)),
    ("lsgan", {}, ((0 + 9) / 4, (0 + 9) / 4, (1 + 4) / 4)),
    ("lsgan", {"fake_target": -1, "real_target": 1, "g_target": 0}, ((0 + 9) / 4, (1 + 16) / 4, (0 + 9) / 4)),
    (
        "relativistic",
        {},
        ((softplus(-1) + softplus(5)) / 4, (softplus(-1) + softplus(5)) / 4, (softplus(1) + softplus(-5)) / 2),
    ),
    ("wgan", {}, (0.5, 1.5, -1.5)),
    ("wgan-gp", {}, (0.5, 1.5, -1.5)),
]


def test_every_loss_of_the_package_has_its_values_here() -> None:
    assert {name for name, _, _ in KNOWN} == set(NAMES)


@pytest.mark.parametrize(("name", "options", "expected"), KNOWN)
def test_the_known_losses_in_closed_form(
    name: str, options: dict[str, float], expected: tuple[float, float, float]
) -> None:
    found = terms(loss_of(name, **options), torch.tensor([1.0, -2.0]), torch.tensor([0.0, 3.0]))
    assert found == pytest.approx(expected, rel=1e-6)


def test_the_relativistic_loss_of_g_mirrors_that_of_d() -> None:
    loss, real, fake = loss_of("relativistic"), torch.randn(9, generator=seeded(1)), torch.randn(9, generator=seeded(2))
    assert loss.generator(fake, real, seeded()).item() == pytest.approx(2 * terms(loss, fake, real)[0], rel=1e-6)
    assert terms(loss, real + 5, fake + 5) == pytest.approx(
        terms(loss, real, fake), rel=1e-5
    )  # differences alone count


def test_least_squares_are_lowest_at_the_targets() -> None:
    loss = loss_of("lsgan", fake_target=-0.5, real_target=2.0, g_target=0.25)
    assert terms(loss, torch.tensor([2.0]), torch.tensor([-0.5]))[:2] == [0, 0]
    assert terms(loss, torch.tensor([0.0]), torch.tensor([0.25]))[2] == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"real_target": 0.0}, r"^loss: real_target=0: set it above fake_target=0$"),
        ({"fake_target": 2, "real_target": 3}, r"^loss: g_target=1: set it above fake_target=2$"),
    ],
)
def test_least_squares_that_would_turn_d_around_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        loss_of("lsgan", **options)


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"wgan"}))
def test_only_wgan_changes_the_weights_itself(name: str) -> None:
    D = nn.Linear(3, 1)
    before = [p.detach().clone() for p in D.parameters()]
    loss_of(name).constrain(D)
    assert all(torch.equal(p, q) for p, q in zip(D.parameters(), before, strict=True))


def test_smoothed_labels_are_one_sided_and_lie_where_they_should() -> None:
    """The cross entropy to a target t has its minimum where the sigmoid is t; the mean of U[0.8, 1] is 0.9."""
    loss, plain = loss_of("bce", smoothing=0.2), loss_of("bce")
    logits, ones = torch.zeros(20_000, requires_grad=True), torch.ones(3)
    of_real, of_fake = loss.discriminator(logits, torch.zeros(3), seeded())
    of_real.backward()
    assert logits.grad is not None
    targets = 0.5 - logits.grad * len(logits)
    assert targets.min() >= 0.8 and targets.max() <= 1 and targets.mean().item() == pytest.approx(0.9, abs=0.002)
    assert of_fake.item() == pytest.approx(math.log(2))
    assert terms(loss, ones, ones)[1:] == terms(plain, ones, ones)[1:]


@pytest.mark.parametrize("side", [0, 1])
def test_noisy_labels_swap_their_share(side: int) -> None:
    loss = loss_of("bce", label_noise=0.1)
    logits = torch.zeros(20_000, requires_grad=True)
    loss.discriminator(logits, logits, seeded())[side].backward()
    assert logits.grad is not None
    swapped = (logits.grad < 0) if side else (logits.grad > 0)
    assert swapped.double().mean().item() == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("name", NAMES)
def test_the_class_term_is_a_weighed_cross_entropy(name: str) -> None:
    loss = loss_of(name, class_weight=0.5)
    value = loss.auxiliary(torch.tensor([[2.0, 0.0], [0.0, 0.0]]), torch.tensor([0, 1]))
    assert float(value) == pytest.approx(0.5 * (math.log(1 + math.exp(-2)) + math.log(2)) / 2)
