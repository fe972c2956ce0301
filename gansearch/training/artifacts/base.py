"""The base class of artifacts: files of a trial to look at. Writing them does not change the training."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from gansearch.registry import component
from gansearch.run.rows import Evaluation
from gansearch.training.storage import Storage

Point = tuple[float, float, float, float]
"""One point of the curves: kimg, the losses of D on real and on fake images, and the loss of G."""

File = tuple[str, bytes]
"""The name of a file, relative to the folder of its trial, and its content."""

NUM_REAL = 4  # real images of a snapshot


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A trial at one evaluation.

    Args:
        G: The averaged generator, in eval mode.
        D: The discriminator, in train mode.
        z_dim: The size of z.
        classes: The names of the classes; empty where the networks use no labels.
        real: Images (4, C, H, W) in [-1, 1], the same at every evaluation.
        real_labels: The labels (4,) of `real`.
        evaluation: The evaluation.
        curve: The losses since the previous evaluation.
    """

    G: nn.Module
    D: nn.Module
    z_dim: int
    classes: tuple[str, ...]
    real: Tensor
    real_labels: Tensor | None
    evaluation: Evaluation
    curve: list[Point]


@component
class Artifact(ABC):
    """Files that a trial writes at each evaluation, or once at its end. `artifacts.NAME=true|false` switches it."""

    default: ClassVar[bool] = True
    """Whether the artifact is written where `artifacts.NAME` is not set."""

    @abstractmethod
    def files(self, snapshot: Snapshot) -> Iterator[File]:
        """Yields the files of an evaluation.

        Their names hold the images shown (`snapshot.evaluation.images`). Repeating an evaluation overwrites its files,
        so a trial that was killed neither loses nor repeats anything. No random number generator is used.
        """

    def last_files(self, written: Storage) -> Iterator[File]:
        """Yields the files of a trial that has ended, made from what was `written` below its folder."""
        yield from ()
