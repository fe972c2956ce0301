"""The contract of a model, at those of four resolutions that the model does not refuse."""

import copy
from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor
from torch.nn.functional import softplus

from gansearch.contracts.base import changed, holds, require, require_gradients
from gansearch.errors import UserError, one_line
from gansearch.models.base import ImageShape, Model
from gansearch.models.conditional import Discriminator, DiscriminatorOutput, Generator
from gansearch.models.weightless import without_weights

SUBJECT = Model

RESOLUTIONS = (8, 16, 32, 64)
_CHANNELS = (1, 3)
_CLASSES, _BATCH = 3, 4
_LABELS = torch.arange(_BATCH) % _CLASSES


def _rng(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _refusal(model: Model, shape: ImageShape, *, per_image: bool = False) -> str | None:
    """Returns why the model refuses a shape, or None. The networks lie on the meta device, as in a start's checks."""
    try:
        with without_weights():
            model.generator(shape)
            model.discriminator(shape, per_image=per_image)
    except UserError as error:
        return str(error)
    return None


def _shapes(model: Model) -> Iterator[ImageShape]:
    """Yields the shapes that the model accepts, of grey and coloured images, the smallest first."""
    shapes = (ImageShape(channels, resolution, _CLASSES) for resolution in RESOLUTIONS for channels in _CHANNELS)
    return (shape for shape in shapes if _refusal(model, shape) is None)


def _smallest(model: Model) -> Iterator[ImageShape]:
    """Yields the smallest shape that the model accepts, or nothing."""
    return islice(_shapes(model), 1)


def _built(
    model: Model, shape: ImageShape, *, per_image: bool = False, seed: int = 0
) -> tuple[Generator, Discriminator]:
    """Builds G and D with weights of a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return model.generator(shape), model.discriminator(shape, per_image=per_image)


def _networks(
    model: Model, shape: ImageShape, *, per_image: bool = False, seed: int = 0
) -> tuple[Generator, Discriminator]:
    """Builds G and D and moves all weights a little, so that a gate that starts at 0 lets gradients pass."""
    networks = _built(model, shape, per_image=per_image, seed=seed)
    rng = _rng(seed)
    with torch.no_grad():
        for parameter in (parameter for network in networks for parameter in network.parameters()):
            inputs = parameter[0].numel() if parameter.dim() > 1 else 10
            parameter.add_(0.3 * inputs**-0.5 * torch.randn(parameter.shape, generator=rng))
    return networks


@torch.no_grad()
def _loud(G: Generator) -> Generator:
    """Returns a copy of G with weights so large that its values reach the ends of their range."""
    loud = copy.deepcopy(G)
    for parameter in loud.parameters():
        parameter.mul_(10)
    return loud


def _z(model: Model, seed: int = 1) -> Tensor:
    return torch.randn(_BATCH, model.z_dim, generator=_rng(seed))


def _images(shape: ImageShape) -> Tensor:
    return torch.rand(_BATCH, shape.channels, shape.resolution, shape.resolution, generator=_rng(2)) * 2 - 1


def _label(number: int) -> Tensor:
    return torch.full((_BATCH,), number)


@holds("It accepts images of 8, 16, 32 or 64 rows, and refuses others in one line.")
def some_resolution_is_accepted(model: Model) -> None:
    reasons = [_refusal(model, ImageShape(3, resolution, _CLASSES)) for resolution in RESOLUTIONS]
    require(None in reasons, f"it accepts none of them: {reasons[-1]}")
    require(not any("\n" in reason for reason in reasons if reason), "the reason for a refusal is not one line")


@holds("G generates different float32 images in [-1, 1] of the right shape, and D gives one float32 logit for each.")
def networks_fit_the_images(model: Model) -> None:
    for shape in _shapes(model):
        G, D = _networks(model, shape)
        at = f"for images of {shape.channels} x {shape.resolution} x {shape.resolution}"
        images = G(_z(model), _LABELS)
        require(images.shape == _images(shape).shape, f"{at} G's output has the shape {tuple(images.shape)}")
        require(images.dtype == torch.float32, f"{at} G's images are {images.dtype}")
        reached = _loud(G)(100 * _z(model), _LABELS).abs().max().item()
        require(reached <= 1, f"{at} G's values can reach {reached:g}: end in a tanh")
        require(images.std(0).max() > 0, f"{at} G generates the same image for every z")
        output = D(images, _LABELS)
        require(isinstance(output, DiscriminatorOutput), f"{at} D returns {type(output).__name__}")
        require(output.logits.shape == (_BATCH,), f"{at} D's logits have the shape {tuple(output.logits.shape)}")
        require(output.logits.dtype == torch.float32, f"{at} D's logits are {output.logits.dtype}")


@holds("Gradients reach every weight of G and of D.", each_option=True)
def gradients_reach_every_weight(model: Model) -> None:
    for shape in _smallest(model):
        G, D = _networks(model, shape)
        output = D(G(_z(model), _LABELS), _LABELS)
        total = softplus(output.logits).sum()
        if output.classes is not None:
            total = total + output.classes.square().sum()
        total.backward()
        for network, module in (("G", G), ("D", D)):
            require_gradients(network, module)


@holds("Torch's seed decides the weights.", each_option=True)
def seed_decides_the_weights(model: Model) -> None:
    for shape in _smallest(model):
        first, again, other = (_built(model, shape, seed=seed) for seed in (0, 0, 1))
        for network, a, b, c in zip("GD", first, again, other, strict=True):
            weights = [list(module.state_dict().values()) for module in (a, b, c)]
            require(all(map(torch.equal, weights[0], weights[1])), f"the same seed gives another {network}")
            require(not all(map(torch.equal, weights[0], weights[2])), f"another seed gives the same {network}")


@holds("In evaluation mode the networks repeat themselves, and a state dict is all that they are.", each_option=True)
def a_state_dict_is_the_network(model: Model) -> None:
    for shape in _smallest(model):
        (G, D), (other_G, other_D) = (_networks(model, shape, seed=seed) for seed in (0, 1))
        D(G(_z(model), _LABELS), _LABELS)  # in training mode, which moves running statistics
        for network, mine, other, inputs in (("G", G, other_G, _z(model)), ("D", D, other_D, _images(shape))):
            other.load_state_dict(mine.state_dict())
            mine.eval(), other.eval()
            with torch.no_grad():
                first, again, loaded = (_first(net(inputs, _LABELS)) for net in (mine, mine, other))
            require(torch.equal(first, again), f"{network} in evaluation mode gives other values the second time")
            require(torch.allclose(first, loaded, atol=1e-5), f"{network}'s state dict does not hold all of it")


def _first(output: Tensor | DiscriminatorOutput) -> Tensor:
    return output if isinstance(output, Tensor) else output.logits


@holds("With dropout D's logits are random in training, and only there.")
def dropout_is_for_training(model: Model) -> None:
    for shape in _smallest(model):
        _, D = _networks(changed(model, dropout=0.5), shape)
        images = _images(shape)
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(0)
            first, again = (copy.deepcopy(D)(images, _LABELS).logits for _ in range(2))
            require(not torch.equal(first, again), "model.dropout=0.5 changes nothing")


@holds("It runs in bf16.", each_option=True)
def it_runs_in_bf16(model: Model) -> None:
    for shape in _smallest(model):
        G, D = _networks(model, shape)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            images = G(_z(model), _LABELS)
            logits = D(images, _LABELS).logits
        require(images.isfinite().all() and images.abs().max() <= 1, "in bf16 G's images leave [-1, 1]")
        require(logits.isfinite().all(), "in bf16 D's logits are not finite")


def _judges(model: Model) -> Iterator[tuple[Discriminator, ImageShape]]:
    """Yields D as a loss with `per_image` gets it, or nothing where the model refuses to build it."""
    for shape in _smallest(model):
        if _refusal(model, shape, per_image=True) is None:
            yield _networks(model, shape, per_image=True)[1], shape


def _slopes(D: Discriminator, images: Tensor) -> tuple[Tensor, Tensor]:
    """Returns logits and their gradients by the images, of a copy of D: a pass can change what D remembers."""
    images = images.clone().requires_grad_()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # of dropout
        logits = copy.deepcopy(D)(images, _LABELS).logits
    (slopes,) = torch.autograd.grad(logits.sum(), images)
    return logits.detach(), slopes


@holds(
    "With `per_image` D judges each image by itself: neither logit nor gradient depends on other images.",
    each_option=True,
)
def images_are_judged_one_by_one(model: Model) -> None:
    for D, shape in _judges(model):
        images = _images(shape)
        others = torch.cat([images[:1], -images[1:]])
        for name, mine, theirs in zip(("logit", "gradient"), _slopes(D, images), _slopes(D, others), strict=True):
            close = torch.allclose(mine[0], theirs[0], rtol=1e-3, atol=1e-4 * mine.abs().max().item())
            require(close, f"the {name} of an image depends on the other images: build D without batch norm, or refuse")


@holds("With `per_image` D's gradient can be differentiated once more.", each_option=True)
def gradients_have_gradients(model: Model) -> None:
    for D, shape in _judges(model):
        images = _images(shape).requires_grad_()
        (slopes,) = torch.autograd.grad(D(images, _LABELS).logits.sum(), images, create_graph=True)
        require(slopes.requires_grad, "no weight has a part in D's gradient")
        slopes.square().sum().backward()
        found = [parameter.grad for parameter in D.parameters() if parameter.grad is not None]
        require(all(slope.isfinite().all() for slope in found), "the second derivative is not finite")
        require(any(slope.abs().sum() > 0 for slope in found), "the second derivative is 0 for every weight")


@holds("Labels decide what G generates and how D judges, unless `conditioning` is none.", each_option=True)
def labels_reach_the_networks(model: Model) -> None:
    for shape in _smallest(model):
        G, D = (network.eval() for network in _networks(model, shape))
        z, images = _z(model), _images(shape)
        with torch.no_grad():
            generated = [G(z, _label(number)) for number in (0, 0, 1)]
            judged = [D(images, _label(number)) for number in (0, 0, 1)]
        logits = [output.logits for output in judged]
        require(torch.equal(*generated[:2]) and torch.equal(*logits[:2]), "the same labels give other values")
        deaf_G, deaf_D = (torch.equal(values[0], values[2]) for values in (generated, logits))
        if model.conditioning == "none":
            require(deaf_G and deaf_D, "labels change what G or D returns")
            require(torch.equal(G(z), generated[0]), "G generates something else without labels")
        else:
            require(not deaf_G, "G generates the same images for other labels")
        classes = judged[0].classes
        if model.conditioning == "acgan":
            require(deaf_D, "D, which is to predict the label, sees it")
            require(classes is not None, "D predicts no classes")
            require(classes.shape == (_BATCH, _CLASSES), f"D's class logits have the shape {tuple(classes.shape)}")
        else:
            require(classes is None, "D predicts classes that nobody asked for")
            require(deaf_D == (model.conditioning == "none"), "D judges the same images alike for other labels")


@holds("Data without labels are refused in one line, unless `conditioning` is none.", each_option=True)
def data_without_labels_are_refused(model: Model) -> None:
    for shape in _smallest(model):
        bare = shape._replace(classes=0)
        for name, build in (
            ("G", lambda bare=bare: model.generator(bare)),
            ("D", lambda bare=bare: model.discriminator(bare, per_image=False)),
        ):
            try:
                build()
            except UserError as error:
                require(model.conditional, f"{name} needs labels: {one_line(error)}")
                require("\n" not in str(error), "the reason for the refusal is not one line")
            else:
                require(not model.conditional, f"{name} is built for data without labels")
