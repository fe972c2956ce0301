"""A generator that was trained, built from its weights."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Self

import torch
from torch import Tensor

from gansearch import foreign, registry
from gansearch.config import TrialConfig
from gansearch.data.base import Images, require_memory
from gansearch.data.loader import Batches, load_images
from gansearch.errors import UserError, one_line
from gansearch.models.base import ImageShape, Model
from gansearch.models.weightless import without_weights
from gansearch.training.build import weights_size
from gansearch.training.samples import NonFiniteImage, scored_samples


class LoadedGenerator:
    """A trained generator in eval mode. `sample(n)` returns images.

    Args:
        module: The network.
        config: The configuration of the trial.
        z_dim: The length of z.
        classes: The names of the classes whose labels the network takes, empty for a network without labels.
    """

    def __init__(self, module: torch.nn.Module, config: TrialConfig, z_dim: int, classes: Sequence[str]) -> None:
        self.module, self.config, self.z_dim, self.classes = module, config, z_dim, tuple(classes)

    @classmethod
    def build(
        cls, config: TrialConfig, weights: dict[str, Tensor], channels: int, classes: Sequence[str], device: str
    ) -> Self:
        """Builds the network of a trial's `config` with its `weights`, for images of `channels` and these classes.

        Raises:
            UserError: The weights are of another network, or the model is code from outside the package that is
                missing, has changed or is not allowed.
        """
        foreign.require(config.code, [config.model.name])
        model: Model = registry.build("model", config.model)
        shape = ImageShape(channels, config.data.resolution, len(classes))
        try:
            with without_weights():
                size = weights_size(model.generator(shape))
            require_memory(size, f"weights of model.name={config.model.name} with {channels} channels")
            module = model.generator(shape)
            module.load_state_dict(weights, assign=True)
        except RuntimeError as error:
            raise UserError(
                f"these weights are not of this {config.model.name} ({one_line(error)}): load them with the version of "
                "gansearch that trained them"
            ) from None
        return cls(module.to(device).eval().requires_grad_(False), config, model.z_dim, classes)

    @torch.no_grad()
    def sample(self, count: int, seed: int = 0, labels: Sequence[int] | None = None) -> Tensor:
        """Returns `count` images, float32 (count, C, H, W) in [-1, 1], on the generator's device.

        Args:
            count: The number of images.
            seed: The seed of z.
            labels: The class of each image, None for all classes in turn.

        Raises:
            UserError: The labels are too many, too few or no classes of this generator.
        """
        if labels is not None and not (len(labels) == count and all(0 <= y < len(self.classes) for y in labels)):
            raise UserError(
                f"labels: give {count} numbers from 0 to {len(self.classes) - 1}"
                if self.classes
                else "this generator takes no labels: leave them out"
            )
        rng = torch.Generator().manual_seed(seed)
        device = next(self.module.parameters()).device
        z = torch.randn(count, self.z_dim, generator=rng).to(device)
        if not self.classes:
            return self.module(z)
        chosen = torch.arange(count) % len(self.classes) if labels is None else torch.tensor(labels)
        return self.module(z, chosen.to(device))

    def scored(self, count: int, seed: int | None = None) -> Iterator[Tensor]:
        """Yields `count` images for a metric in batches, uint8 (at most 256, C, H, W).

        With a `count` of `metrics.num_fake` and without a `seed` they are the images that the trial scored. The `seed`
        is that of z and labels, by default that of the trial's metrics.

        Raises:
            UserError: The training images, which give the labels, are gone or have other classes, or a generated image
                is not finite.
        """
        device = next(self.module.parameters()).device
        seed = self.config.metrics.seed if seed is None else seed
        batches = Batches(self._labelled(), batch=1, rng=torch.Generator())
        try:
            yield from scored_samples(
                self.module, self.z_dim, batches, seed, count, device, self.config.train.precision
            )
        except NonFiniteImage:
            raise UserError(
                "the generator makes images that are not finite: export another trial with --trial"
            ) from None

    def _labelled(self) -> Images:
        """Returns the training images, without labels for a generator that takes none."""
        images = load_images(self.config.data, "train")
        if not self.classes:
            return replace(images, labels=None, classes=())
        if images.classes != self.classes:
            raise UserError("the training images have other classes than the generator: bring back the search's data")
        return images
