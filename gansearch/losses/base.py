"""What a GAN loss is: a small frozen object whose constructor arguments are its options."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Generator, Tensor, nn

from gansearch.registry import component


@component
class Loss(ABC):
    """Terms over the logits of D, float32 (N,); each returns a scalar to be minimised.

    D minimises `real(D(x)) + fake(D(G(z))) + penalty`, G minimises `generator(D(G(z)))`.
    """

    per_image: ClassVar[bool] = False
    """True where the loss needs D to judge each image by itself (no batch norm in D)."""

    @abstractmethod
    def real(self, logits: Tensor) -> Tensor:
        """D's loss on real images."""

    @abstractmethod
    def fake(self, logits: Tensor) -> Tensor:
        """D's loss on generated images."""

    @abstractmethod
    def generator(self, logits: Tensor) -> Tensor:
        """G's loss on generated images."""

    def penalty(self, D: nn.Module, real: Tensor, fake: Tensor, rng: Generator) -> Tensor | None:
        """A further term of D's loss that needs D itself; None where there is none."""
        return None

    def constrain(self, D: nn.Module) -> None:  # noqa: B027 - most losses constrain nothing
        """Called after every D step, to keep D within its constraint."""
