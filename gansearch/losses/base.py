"""What a GAN loss is: a small frozen object whose constructor arguments are its options."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Annotated, ClassVar

from pydantic import Field
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from gansearch.registry import component

Critic = Callable[[Tensor], Tensor]


@component
class Loss(ABC):
    """Terms over the logits of D, float32 (N,); each returns a scalar to be minimised.

    D minimises `real(D(x)) + fake(D(G(z))) + penalty`, G minimises `generator(D(G(z)))`; where D predicts classes,
    both also minimise `class_weight` times `auxiliary`.
    """

    class_weight: Annotated[float, Field(ge=0)] = 1.0

    per_image: ClassVar[bool] = False
    """True where the loss needs D to judge each image by itself (no batch norm in D)."""

    @abstractmethod
    def real(self, logits: Tensor, rng: Generator) -> Tensor:
        """D's loss on real images."""

    @abstractmethod
    def fake(self, logits: Tensor, rng: Generator) -> Tensor:
        """D's loss on generated images."""

    @abstractmethod
    def generator(self, logits: Tensor) -> Tensor:
        """G's loss on generated images."""

    def auxiliary(self, classes: Tensor | None, labels: Tensor | None) -> Tensor | float:
        """The cross entropy of class logits (N, K) (ACGAN, Odena et al. 2017, equation 2); 0 where D gives none."""
        if classes is None or labels is None:
            return 0.0
        return self.class_weight * F.cross_entropy(classes.float(), labels)

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, rng: Generator) -> Tensor | None:
        """A further term of D's loss that needs D itself, as images to logits; None where there is none."""
        return None

    def constrain(self, D: nn.Module) -> None:  # noqa: B027 - most losses constrain nothing
        """Called after every D step, to keep D within its constraint."""
