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
    """The terms of a loss, scalars to be minimised, from the logits of D: float32 (N,), higher for real images.

    D minimises the sum of the two terms of `discriminator` and, where there is one, the `penalty`; G minimises
    `generator`. Where D predicts classes, both also minimise `auxiliary`, a cross entropy with the weight
    `class_weight`. Random numbers come from `rng`, the trial's generator.

    Args:
        class_weight: The weight of the cross entropy of the classes, where D predicts them.
    """

    class_weight: Annotated[float, Field(ge=0)] = 1.0

    per_image: ClassVar[bool] = False
    """True where the loss differentiates D by each single image, as a gradient penalty does.

    D is then built without layers that mix the images of a batch (batch norm), and from layers that have a second
    derivative: the penalty is a function of D's gradient, and training differentiates the penalty.
    """

    pairs: ClassVar[bool] = False
    """True where G's loss needs the logits of real images too, as a relativistic one does.

    Only then does D see real images in a step of G.
    """

    @abstractmethod
    def discriminator(self, real: Tensor, fake: Tensor, rng: Generator) -> tuple[Tensor, Tensor]:
        """Returns the two terms of D's loss, that of real and that of generated images; D minimises their sum.

        They are reported as `d_loss_real` and `d_loss_fake`. A loss that can't be split returns half of it twice.

        Args:
            real: The logits of N real images.
            fake: The logits of N generated images; with labels, `fake[i]` has the label of `real[i]`, unless the replay
                buffer has put an earlier image there.
            rng: The trial's generator of random numbers.
        """

    @abstractmethod
    def generator(self, fake: Tensor, real: Tensor | None, rng: Generator) -> Tensor:
        """Returns the loss of G.

        Args:
            fake: The logits of N generated images.
            real: The logits of N real images with the same labels where `pairs` is set, else None.
            rng: The trial's generator of random numbers.
        """

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
