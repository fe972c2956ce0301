"""From a configuration to G and D, and the refusal of what could only fail once it trains."""

import torch
from torch import nn

from gansearch import registry
from gansearch.config import TrialConfig
from gansearch.data.base import Images
from gansearch.errors import UserError
from gansearch.losses.base import Loss
from gansearch.models.base import ImageShape, Model
from gansearch.training.compiled import should_compile

_SOME_CLASSES = 10


def best_device() -> torch.device:
    """A GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def check(config: TrialConfig) -> TrialConfig:
    """Resolves `config` and refuses what could only fail once it trains (UserError); it needs no data."""
    config = registry.resolve(config)
    with torch.device("meta"):
        build_players(config, likely_shape(config), torch.device("meta"))
    should_compile(config.train, best_device())
    steps = config.train.eval_images // config.train.batch
    if config.optim.d_steps > steps:
        raise UserError(
            f"optim.d_steps={config.optim.d_steps}: there are only {steps} D steps between two evaluations, so G would "
            "make none; set it lower, or train.max_kimg higher"
        )
    return config


def check_data(config: TrialConfig, images: Images) -> None:
    """UserError where the data set is smaller than one batch, or has not the labels that a conditional net needs."""
    if len(images) < config.train.batch:
        raise UserError(f"train.batch={config.train.batch}: the data set has only {len(images)} images; set it lower")
    with torch.device("meta"):
        build_players(config, image_shape(images), torch.device("meta"))
    if not registry.build("model", config.model).conditional:
        return
    if len(images.classes) == 1:
        raise UserError(f"{images.classes[0]} is the only class of these images: set model.conditioning=none")
    for name, count in zip(images.classes, images.counts, strict=True):
        if count < 2:
            raise UserError(
                f"class {name} has {'a single image' if count else 'no image'}, which no conditional GAN can learn "
                "from: add some, take the class away, or set model.conditioning=none"
            )


def likely_shape(config: TrialConfig) -> ImageShape:
    """A shape for checks and estimates that are made before the data are read."""
    return ImageShape(3, config.data.resolution, _SOME_CLASSES)


def image_shape(images: Images) -> ImageShape:
    """The shape of a data set's images, as the models take it."""
    return ImageShape(*images.shape, classes=0 if images.labels is None else len(images.classes))


def build_players(config: TrialConfig, shape: ImageShape, device: torch.device) -> tuple[nn.Module, nn.Module]:
    """G and D with weights that the configuration's seed alone decides; UserError where they can't be built."""
    model: Model = registry.build("model", config.model)
    loss: Loss = registry.build("loss", config.loss)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        G, D = model.generator(shape), model.discriminator(shape, per_image=loss.per_image)
    # Channels last is the faster layout for these convolutions, on CPU and on tensor cores.
    layout = torch.channels_last
    return G.to(device).to(memory_format=layout), D.to(device).to(memory_format=layout)
