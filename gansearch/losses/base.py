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
    """True where the loss differentiates D by each single image, as a gradient penalty does.

    D is then built without layers that mix the images of a batch (batch norm), and from layers that have a second
    derivative: the penalty is a function of D's gradient, and training differentiates the penalty.
    """

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
        """Returns a further term of D's loss that needs D itself, or None where the loss has none.

        Args:
            critic: D as a function from images to logits. A loss that differentiates `critic` sets `per_image`.
            real: Real images (N, C, H, W).
            fake: As many generated images, detached from G.
            rng: The trial's generator of random numbers.
        """
        return None

    def constrain(self, D: nn.Module) -> None:  # noqa: B027 - most losses constrain nothing
        """Called after every D step, to keep D within its constraint."""
