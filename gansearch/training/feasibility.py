"""Refuses configurations and data that would only fail once training runs."""

import torch

from gansearch import registry
from gansearch.config import TrialConfig
from gansearch.data.base import Images
from gansearch.errors import UserError
from gansearch.models.base import Model
from gansearch.training.build import build_networks, image_shape, likely_shape

_META = torch.device("meta")  # networks there have shapes and no weights


def check(config: TrialConfig) -> TrialConfig:
    """Resolves a configuration and checks that it can be trained; reads no data.

    Returns:
        The configuration with the defaults of all components written out.

    Raises:
        UserError: A component or an option is unknown, the networks can't be built, or G would make no step.
    """
    config = registry.resolve(config)
    with _META:
        build_networks(config, likely_shape(config), _META)
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
    with _META:
        build_networks(config, image_shape(images), _META)
    check_images(registry.build("model", config.model), config.train.batch, images)


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
