"""Builds G and D of a configuration for images of a given shape."""

import torch
from torch import nn

from gansearch import foreign, registry
from gansearch.config import TrialConfig
from gansearch.data.base import Dataset, Images, require_memory
from gansearch.errors import UserError, kind_and_message
from gansearch.losses.base import Loss
from gansearch.models.base import ImageShape, Model
from gansearch.models.conditional import Discriminator, Generator
from gansearch.models.weightless import META, without_weights

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


def build_without_weights(config: TrialConfig, shape: ImageShape) -> tuple[Generator, Discriminator]:
    """Builds G and D without weights; raises UserError as `build_networks` does."""
    with without_weights():
        return build_networks(config, shape, META)


def require_memory_for(config: TrialConfig, shape: ImageShape) -> None:
    """Refuses what no training of a configuration could hold; activations, which depend on the device, come on top.

    Raises:
        UserError: It takes more memory than the machine has, or `build_networks` refuses it.
    """
    weights = sum(map(weights_size, build_without_weights(config, shape)))
    image = 4 * shape.channels * shape.resolution**2
    replayed = config.replay.capacity * image // 2 if config.replay.every else 0
    # Adam has two means beside a weight and its gradient, a step a batch of real and one of generated images.
    require_memory(
        4 * weights + 2 * config.train.batch * image + replayed,
        f"weights, train.batch={config.train.batch} and replay.capacity={config.replay.capacity} with "
        f"model.name={config.model.name} at data.resolution={shape.resolution}",
    )


def weights_size(network: nn.Module) -> int:
    """Returns the bytes of the weights of a network, also of one without weights, on the meta device."""
    return sum(weight.numel() * weight.element_size() for weight in network.parameters())


def networks_of(
    model: Model, loss: Loss, shape: ImageShape, seed: int, device: torch.device
) -> tuple[Generator, Discriminator]:
    """Builds G and D of a model and a loss that are built already; raises UserError as `build_networks` does."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        G, D = model.generator(shape), model.discriminator(shape, per_image=loss.per_image)
    if device == META:
        return G, D
    # Channels last is the faster layout for these convolutions, on a CPU and on tensor cores.
    layout = torch.channels_last
    return G.to(device).to(memory_format=layout), D.to(device).to(memory_format=layout)
