"""Builds G and D of a configuration for images of a given shape."""

import torch

from gansearch import foreign, registry
from gansearch.config import TrialConfig
from gansearch.data.base import Dataset, Images
from gansearch.errors import UserError, kind_and_message
from gansearch.losses.base import Loss
from gansearch.models.base import ImageShape, Model
from gansearch.models.conditional import Discriminator, Generator

_LIKELY = 3, 10  # channels and classes


def likely_shape(config: TrialConfig) -> ImageShape:
    """Returns the shape of the images before the data set is read; where it is not known, colour and ten classes."""
    dataset: type[Dataset] = registry.find("data", config.data.name)
    channels, classes = dataset.known_shape or _LIKELY
    return ImageShape(channels, config.data.resolution, classes)


def image_shape(images: Images) -> ImageShape:
    """Returns the shape of the images of a data set."""
    return ImageShape(*images.shape, classes=0 if images.labels is None else len(images.classes))


def build_networks(config: TrialConfig, shape: ImageShape, device: torch.device) -> tuple[Generator, Discriminator]:
    """Builds G and D with weights that the seed of the configuration alone decides.

    Raises:
        UserError: The options of the model do not fit one another, the loss or the shape, or a model from outside the
            package fails.
    """
    model: Model = registry.build("model", config.model)
    loss: Loss = registry.build("loss", config.loss)
    try:
        return networks_of(model, loss, shape, config.seed, device)
    except Exception as error:
        if isinstance(error, UserError) or not foreign.is_foreign(config.model.name):
            raise
        raise UserError(f"model {config.model.name}: {kind_and_message(error)}") from error


def networks_of(
    model: Model, loss: Loss, shape: ImageShape, seed: int, device: torch.device
) -> tuple[Generator, Discriminator]:
    """Builds G and D of a model and a loss that are built already; raises UserError as `build_networks` does."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        G, D = model.generator(shape), model.discriminator(shape, per_image=loss.per_image)
    # Channels last is the faster layout for these convolutions, on a CPU and on tensor cores.
    layout = torch.channels_last
    return G.to(device).to(memory_format=layout), D.to(device).to(memory_format=layout)
