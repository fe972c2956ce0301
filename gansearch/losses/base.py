"""The base class of GAN losses: small frozen objects whose constructor arguments are the options of a loss."""

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
    """The terms of a loss. Each takes logits of D, float32 (N,), and returns a scalar to be minimised.

    D minimises `real(D(x)) + fake(D(G(z))) + penalty`, G minimises `generator(D(G(z)))`. Where D predicts classes, both
    also minimise `auxiliary`, a cross entropy with the weight `class_weight`. Random numbers come from `rng`, the
    trial's generator.

    Args:
        class_weight: The weight of the cross entropy of the classes, where D predicts them.
    """

    class_weight: Annotated[float, Field(ge=0)] = 1.0

    per_image: ClassVar[bool] = False
    """True where the loss differentiates D by each single image, as a gradient penalty does.

    D is then built without layers that mix the images of a batch (batch norm), and from layers that have a second
    derivative: the penalty is a function of D's gradient, and training differentiates the penalty.
    """

    @abstractmethod
    def real(self, logits: Tensor, rng: Generator) -> Tensor:
        """Returns the loss of D on real images."""

    @abstractmethod
    def fake(self, logits: Tensor, rng: Generator) -> Tensor:
        """Returns the loss of D on generated images."""

    @abstractmethod
    def generator(self, logits: Tensor) -> Tensor:
        """Returns the loss of G on generated images."""

    def auxiliary(self, classes: Tensor | None, labels: Tensor | None) -> Tensor | float:
        """Returns the weighted cross entropy of class logits (N, K), or 0 where D predicts no classes.

        ACGAN, Odena et al. 2017, equation 2.
        """
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
        """Brings the weights of D back within the constraint of the loss; called after every D step."""
