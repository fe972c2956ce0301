"""The non-saturating loss of Goodfellow et al. 2014 (section 3), as cross entropy on logits."""

from torch import Tensor
from torch.nn.functional import softplus

from gansearch.losses.base import Loss
from gansearch.registry import component


@component
class BCE(Loss):
    """D: -log s(D(x)) - log(1 - s(D(G(z)))); G: -log s(D(G(z))), with s the sigmoid."""

    def real(self, logits: Tensor) -> Tensor:
        return softplus(-logits).mean()

    def fake(self, logits: Tensor) -> Tensor:
        return softplus(logits).mean()

    def generator(self, logits: Tensor) -> Tensor:
        return softplus(-logits).mean()
