"""The parts of G and D that use labels, the same for all models."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gansearch.models.blocks import dense, initialised


class DiscriminatorOutput(NamedTuple):
    """The output of D for N images: `logits` (N,), and class logits (N, K) where D predicts the class, else None."""

    logits: Tensor
    classes: Tensor | None = None


class Generator(nn.Module):
    """Maps z (N, z_dim) to images (N, C, H, W).

    Unless `classes` is 0, labels int64 (N,) are joined to z as one-hot vectors.
    """

    def __init__(self, net: nn.Module, classes: int) -> None:
        super().__init__()
        self.net, self.classes = net, classes

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.net(_joined(z, labels, self.classes) if self.classes else z)


class Discriminator(nn.Module):
    """Maps images (N, C, H, W) and labels (N,) to a DiscriminatorOutput; the head decides what labels are used for."""

    def __init__(self, trunk: nn.Module, head: nn.Module, dropout: float) -> None:
        super().__init__()
        self.trunk, self.dropout, self.head = trunk, nn.Dropout(dropout), head

    def forward(self, images: Tensor, labels: Tensor | None = None) -> DiscriminatorOutput:
        return self.head(self.dropout(self.trunk(images)), labels)


class Plain(nn.Module):
    """Maps features (N, F) to logits (N,) and ignores labels."""

    def __init__(self, features: int, classes: int, *, sn: bool) -> None:
        super().__init__()
        self.logit = dense(features, 1, sn=sn)

    def forward(self, features: Tensor, labels: Tensor | None) -> DiscriminatorOutput:
        return DiscriminatorOutput(self.logit(features).squeeze(1))


class Concat(nn.Module):
    """Joins the label to the features as a one-hot vector (Mirza & Osindero 2014)."""

    def __init__(self, features: int, classes: int, *, sn: bool) -> None:
        super().__init__()
        self.classes = classes
        self.logit = dense(features + classes, 1, sn=sn)

    def forward(self, features: Tensor, labels: Tensor | None) -> DiscriminatorOutput:
        return DiscriminatorOutput(self.logit(_joined(features, labels, self.classes)).squeeze(1))


class Projection(Plain):
    """Adds the inner product of features and an embedding of the label to the logit (Miyato & Koyama 2018)."""

    def __init__(self, features: int, classes: int, *, sn: bool) -> None:
        super().__init__(features, classes, sn=sn)
        self.embedding = initialised(nn.Embedding(classes, features), sn=sn)

    def forward(self, features: Tensor, labels: Tensor | None) -> DiscriminatorOutput:
        output = super().forward(features, labels)
        return DiscriminatorOutput(output.logits + (self.embedding(labels) * features).sum(1))


class Auxiliary(Plain):
    """Ignores the label and predicts the class as well (ACGAN, Odena et al. 2017)."""

    def __init__(self, features: int, classes: int, *, sn: bool) -> None:
        super().__init__(features, classes, sn=sn)
        self.classes = dense(features, classes, sn=sn)

    def forward(self, features: Tensor, labels: Tensor | None) -> DiscriminatorOutput:
        return DiscriminatorOutput(super().forward(features, labels).logits, self.classes(features))


HEADS: dict[str, type[Plain] | type[Concat]] = {
    "none": Plain,
    "concat": Concat,
    "projection": Projection,
    "acgan": Auxiliary,
}


def _joined(x: Tensor, labels: Tensor | None, classes: int) -> Tensor:
    assert labels is not None, "a conditional network needs labels"
    return torch.cat([x, F.one_hot(labels, classes).to(x.dtype)], dim=1)
