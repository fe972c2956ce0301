"""Refuses configurations and data that would only fail once training runs."""

import torch

from gansearch import foreign, registry
from gansearch.config import TrialConfig
from gansearch.data.base import Images
from gansearch.errors import UserError, kind_and_message
from gansearch.losses.base import Loss
from gansearch.models.base import Model
from gansearch.training.build import build_without_weights, image_shape, likely_shape, require_memory_for


def check(config: TrialConfig) -> TrialConfig:
    """Resolves a configuration and checks that it can be trained; reads no data.

    Returns:
        The configuration with the defaults of all components written out.

    Raises:
        UserError: A component or an option is unknown, the networks can't be built, a loss from outside the package
            fails, or G would make no step.
    """
    config = registry.resolve(config)
    require_memory_for(config, likely_shape(config))
    _try_loss(config)
    steps = config.train.eval_images // config.train.batch
    if config.optim.d_steps > steps:
        raise UserError(
            f"optim.d_steps={config.optim.d_steps}: there are only {steps} D steps between two evaluations, so G would "
            "make none; set it lower, or train.max_kimg higher"
        )
    return config


def check_data(config: TrialConfig, images: Images) -> None:
    """Checks that a configuration can be trained on a data set.

    Raises:
        UserError: The networks can't be built for these images, or `check_images` refuses them.
    """
    build_without_weights(config, image_shape(images))
    check_images(registry.build("model", config.model), config.train.batch, images)


def _try_loss(config: TrialConfig) -> None:
    """Calls a loss from outside the package once, so that no trial starts with a loss that fails in every trial."""
    if not foreign.is_foreign(config.loss.name):
        return
    loss: Loss = registry.build("loss", config.loss)
    rng = torch.Generator().manual_seed(0)
    logits = torch.linspace(-1, 1, 4)
    try:
        terms = loss.discriminator(logits, -logits, rng)
        values = [loss.generator(logits, -logits if loss.pairs else None, rng)]
    except Exception as error:
        raise UserError(f"loss {config.loss.name}: {kind_and_message(error)}") from error
    values += terms if isinstance(terms, tuple | list) else []
    if len(values) != 3 or not all(isinstance(value, torch.Tensor) and value.shape == () for value in values):
        raise UserError(
            f"loss {config.loss.name}: make `discriminator` return two scalar tensors, the terms of real and of "
            "generated images, and `generator` one"
        )


def check_images(model: Model, batch: int, images: Images) -> None:
    """Checks the number of images and their classes; builds no network.

    Raises:
        UserError: There are fewer images than one batch, or a conditional model has a single class or one with less
            than two images.
    """
    if len(images) < batch:
        raise UserError(f"train.batch={batch}: the data set has only {len(images)} images; set it lower")
    if not model.conditional:
        return
    if len(images.classes) == 1:
        raise UserError(f"{images.classes[0]} is the only class of these images: set model.conditioning=none")
    for name, count in zip(images.classes, images.counts, strict=True):
        if count < 2:
            raise UserError(
                f"class {name} has {'a single image' if count else 'no image'}, which no conditional GAN can learn "
                "from: add images, remove the class, or set model.conditioning=none"
            )
