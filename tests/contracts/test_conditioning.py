"""How labels reach G and D, for every registered model under every kind of conditioning."""

from dataclasses import fields
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gansearch import registry
from gansearch.config import ModelConfig
from gansearch.errors import UserError
from gansearch.models.base import ImageShape, Model
from gansearch.models.conditional import HEADS

CLASSES, BATCH = 5, 6
SHAPE = ImageShape(3, 16, CLASSES)
CONDITIONAL = sorted(set(HEADS) - {"none"})
MODELS = sorted(registry.classes("model"))


def model_of(name: str, conditioning: str, **options: Any) -> Model:
    own = {field.name for field in fields(registry.classes("model")[name])}
    small = {key: value for key, value in {"features": 8, "d_features": 8, "z_dim": 6}.items() if key in own}
    torch.manual_seed(0)
    section = {"name": name, "conditioning": conditioning, "dropout": 0.0, **small, **options}
    return registry.build("model", ModelConfig.model_validate(section))


def nets(model: Model) -> tuple[nn.Module, nn.Module]:
    """G and D at rest, with weights large enough for a label to show."""
    G, D = model.generator(SHAPE).eval(), model.discriminator(SHAPE, per_image=False).eval()
    for parameter in [*G.parameters(), *D.parameters()]:
        if parameter.dim() > 1:
            nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
    return G, D


def labels(number: int) -> Tensor:
    return torch.full((BATCH,), number)


def z() -> Tensor:
    return torch.randn(BATCH, 6, generator=torch.Generator().manual_seed(1))


def images() -> Tensor:
    return torch.rand(BATCH, *SHAPE[:2], SHAPE.resolution, generator=torch.Generator().manual_seed(2)) * 2 - 1


@pytest.mark.parametrize("conditioning", CONDITIONAL)
@pytest.mark.parametrize("name", MODELS)
def test_g_generates_by_the_label(name: str, conditioning: str) -> None:
    G, _ = nets(model_of(name, conditioning))
    fake = G(z(), labels(0))
    assert fake.shape == (BATCH, 3, 16, 16)
    assert torch.equal(fake, G(z(), labels(0))) and not torch.equal(fake, G(z(), labels(1)))


@pytest.mark.parametrize("conditioning", CONDITIONAL)
@pytest.mark.parametrize("name", MODELS)
def test_d_judges_by_the_label_unless_it_predicts_it(name: str, conditioning: str) -> None:
    _, D = nets(model_of(name, conditioning))
    zero, one = D(images(), labels(0)), D(images(), labels(1))
    assert zero.logits.shape == (BATCH,)
    if conditioning == "acgan":
        assert torch.equal(zero.logits, one.logits) and torch.equal(zero.classes, one.classes)
        assert zero.classes.shape == (BATCH, CLASSES)
    else:
        assert zero.classes is None and not torch.equal(zero.logits, one.logits)


@pytest.mark.parametrize("name", MODELS)
def test_without_conditioning_labels_change_nothing(name: str) -> None:
    G, D = nets(model_of(name, "none"))
    assert torch.equal(G(z(), labels(1)), G(z())) and torch.equal(D(images(), labels(1)).logits, D(images()).logits)
    assert D(images()).classes is None


@pytest.mark.parametrize("conditioning", CONDITIONAL)
@pytest.mark.parametrize("name", MODELS)
def test_data_without_labels_are_refused(name: str, conditioning: str) -> None:
    model, bare = model_of(name, conditioning), ImageShape(3, 16)
    for build in (model.generator, lambda shape: model.discriminator(shape, per_image=False)):
        with pytest.raises(UserError, match=rf"model\.conditioning={conditioning}: the data set has no labels; set"):
            build(bare)


@pytest.mark.parametrize("conditioning", sorted(HEADS))
def test_the_heads_by_hand(conditioning: str) -> None:
    """On features f: w f + b; the label's weight; the product with its embedding; a second dense layer."""
    torch.manual_seed(0)
    head = HEADS[conditioning](4, 3, sn=False)
    for parameter in head.parameters():
        nn.init.normal_(parameter)
    f, y = torch.randn(2, 4), torch.tensor([2, 0])
    w, b = head.logit.weight[0], head.logit.bias
    expected = f @ w[:4] + b
    if conditioning == "concat":
        expected = expected + w[4:][y]
    if conditioning == "projection":
        expected = expected + (head.embedding.weight[y] * f).sum(1)
    output = head(f, y)
    torch.testing.assert_close(output.logits, expected)
    if conditioning == "acgan":
        torch.testing.assert_close(output.classes, f @ head.classes.weight.T + head.classes.bias)


@pytest.mark.parametrize("name", MODELS)
def test_dropout_drops_features_of_d_while_it_trains(name: str) -> None:
    model = model_of(name, "none", dropout=0.9)
    _, D = nets(model)
    assert torch.equal(D(images()).logits, D(images()).logits)
    D.train()
    assert not torch.equal(D(images()).logits, D(images()).logits)


def test_a_label_at_a_linear_last_layer_only_shifts_the_logit() -> None:
    """With `concat` the gradient of an image does not depend on its label; with `projection` it does."""
    for conditioning, depends in (("concat", False), ("projection", True)):
        _, D = nets(model_of("dcgan", conditioning))
        slopes = []
        for number in (0, 1):
            x = images().requires_grad_()
            D(x, labels(number)).logits.sum().backward()
            slopes.append(x.grad)
        assert torch.equal(*slopes) is not depends
