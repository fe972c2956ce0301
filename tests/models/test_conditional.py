"""The last layers of D, by hand."""

import pytest
import torch
from torch import nn

from gansearch.models.base import ImageShape
from gansearch.models.conditional import HEADS
from gansearch.models.dcgan import DCGAN


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


def test_a_label_at_a_linear_last_layer_only_shifts_the_logit() -> None:
    """With `concat` the gradient of an image does not depend on its label; with `projection` it does."""
    images = torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(2)) * 2 - 1
    for conditioning, depends in (("concat", False), ("projection", True)):
        torch.manual_seed(0)
        model = DCGAN(features=8, conditioning=conditioning)  # type: ignore[arg-type]
        D = model.discriminator(ImageShape(3, 16, 5), per_image=False).eval()
        slopes = []
        for number in (0, 1):
            x = images.clone().requires_grad_()
            D(x, torch.full((6,), number)).logits.sum().backward()
            slopes.append(x.grad)
        assert torch.equal(*slopes) is not depends
