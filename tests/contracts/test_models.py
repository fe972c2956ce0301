"""Every registered model holds its contract, so do models of other shapes, and broken ones are caught."""

from dataclasses import fields
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn

from gansearch import registry
from gansearch.contracts.base import Property
from gansearch.errors import UserError
from gansearch.models.base import ImageShape, Model, Trunk
from gansearch.models.blocks import FromMaps, ToMaps
from gansearch.models.conditional import Discriminator, DiscriminatorOutput, Generator
from gansearch.registry import component
from tests.contracts.holding import cases, hold, require_fault

SMALL = {"features": 8, "d_features": 8, "z_dim": 12}


@component
class Eight(Model):
    """Three layers, the smallest map 8 x 8, for images of 32 x 32 alone."""

    z_dim: int = 6
    features: int = 8

    def upsampler(self, inputs: int, shape: ImageShape) -> nn.Module:
        if shape.resolution != 32:
            raise UserError(f"data.resolution={shape.resolution}: this model is for 32")
        c = self.features
        ups = [nn.ConvTranspose2d(c, c, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(c, shape.channels, 4, 2, 1)]
        return nn.Sequential(nn.Linear(inputs, c * 64), ToMaps(8), nn.ReLU(), *ups, nn.Tanh())

    def trunk(self, shape: ImageShape, *, per_image: bool) -> Trunk:
        c = self.features
        downs = [nn.Conv2d(shape.channels, c, 4, 2, 1), nn.ReLU(), nn.Conv2d(c, c, 4, 2, 1)]
        return Trunk(nn.Sequential(*downs, nn.ReLU(), FromMaps()), c * 64)


@component
class One(Model):
    """Maps of 1 x 1, layers that triple and an odd number of them, and a gate that starts shut."""

    z_dim: int = 6
    norm: Literal["none", "layer"] | None = None

    def upsampler(self, inputs: int, shape: ImageShape) -> nn.Module:
        if shape.resolution != 16:
            raise UserError("data.resolution: this model is for 16")
        first = nn.Sequential(nn.Unflatten(1, (inputs, 1, 1)), nn.ConvTranspose2d(inputs, 8, 5), nn.ELU())
        return nn.Sequential(first, nn.ConvTranspose2d(8, shape.channels, 4, 3), Gate(shape.channels, 16), nn.Tanh())

    def trunk(self, shape: ImageShape, *, per_image: bool) -> Trunk:
        norms = [nn.GroupNorm(2, 8)] if self.norm == "layer" else []
        layers = [Gate(shape.channels, 16), nn.Conv2d(shape.channels, 8, 4, 3), *norms, nn.ELU(), nn.Conv2d(8, 8, 5)]
        return Trunk(nn.Sequential(*layers, nn.Tanh(), nn.Flatten()), 8)


class Gate(nn.Module):
    """A residual branch with positions of its own whose weight starts at 0."""

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.branch = nn.Conv2d(channels, channels, 3, padding=1)
        self.positions = nn.Parameter(torch.zeros(channels, size, size))
        self.gain = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.gain * torch.tanh(self.branch(x + self.positions))


def small(name: str, **options: Any) -> Model:
    cls = registry.classes("model")[name]
    own = {field.name for field in fields(cls)}
    return cls(**{key: value for key, value in SMALL.items() if key in own} | options)


BOTH = "dcgan with attention and spectral norm"
MODELS: dict[str, Model] = {
    **{name: small(name) for name in registry.classes("model")},
    BOTH: small("dcgan", attention_at=8, spectral_norm=True),
    "a smallest map of 8": Eight(),
    "a smallest map of 1": One(),
}


@pytest.mark.parametrize(("each", "model"), cases("model", MODELS))
def test_a_model_holds_its_contract(each: Property, model: Model) -> None:
    if model is MODELS[BOTH]:  # of the variants some are those of dcgan, and sagan has both in all of its own
        each.check(model)
    else:
        hold(each, model)


def broken(**methods: Any) -> Model:
    return component(type("Broken", (Eight,), methods))()


def without_tanh(self: Model, inputs: int, shape: ImageShape) -> nn.Module:
    return nn.Sequential(*list(Eight.upsampler(self, inputs, shape))[:-1])  # type: ignore[arg-type]


def half_the_size(self: Model, inputs: int, shape: ImageShape) -> nn.Module:
    return nn.Sequential(Eight.upsampler(self, inputs, shape), nn.AvgPool2d(2))  # type: ignore[arg-type]


def mixing(self: Model, shape: ImageShape, *, per_image: bool) -> Trunk:
    trunk = Eight.trunk(self, shape, per_image=per_image)  # type: ignore[arg-type]
    return trunk._replace(net=nn.Sequential(nn.BatchNorm2d(shape.channels), trunk.net))


def with_an_idle_weight(self: Model, shape: ImageShape, *, per_image: bool) -> Trunk:
    trunk = Eight.trunk(self, shape, per_image=per_image)  # type: ignore[arg-type]
    trunk.net[0].idle = nn.Linear(2, 2)  # type: ignore[index]
    return trunk


class Deaf(Generator):
    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return super().forward(z, None if labels is None else torch.zeros_like(labels))


def deaf(self: Model, shape: ImageShape) -> Generator:
    generator = Eight.generator(self, shape)  # type: ignore[arg-type]
    return Deaf(generator.net, generator.classes)


class Columns(Discriminator):
    def forward(self, images: Tensor, labels: Tensor | None = None) -> DiscriminatorOutput:
        return DiscriminatorOutput(super().forward(images, labels).logits[:, None])


def columns(self: Model, shape: ImageShape, *, per_image: bool) -> Discriminator:
    D = Eight.discriminator(self, shape, per_image=per_image)  # type: ignore[arg-type]
    return Columns(D.trunk, D.head, 0.0)


class Noisy(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.randn_like(x)


def noisy(self: Model, inputs: int, shape: ImageShape) -> nn.Module:
    return nn.Sequential(Noisy(), Eight.upsampler(self, inputs, shape))  # type: ignore[arg-type]


class Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad * ctx.saved_tensors[0].cos()


class Sine(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return Once.apply(x)


def once(self: Model, shape: ImageShape, *, per_image: bool) -> Trunk:
    trunk = Eight.trunk(self, shape, per_image=per_image)  # type: ignore[arg-type]
    return trunk._replace(net=nn.Sequential(Sine(), trunk.net))


def picky(self: Model, inputs: int, shape: ImageShape) -> nn.Module:
    raise UserError("data.resolution: this model is for 12")


def untrained(self: Model, inputs: int, shape: ImageShape) -> nn.Module:
    net = Eight.upsampler(self, inputs, shape)  # type: ignore[arg-type]
    for parameter in net.parameters():
        nn.init.constant_(parameter, 0.1)
    return net


BROKEN: list[tuple[str, Model, str]] = [
    (
        "no tanh",
        broken(upsampler=without_tanh),
        r"the right shape.*: for images of 1 x 32 x 32 G's values can reach .*tanh",
    ),
    ("half the size", broken(upsampler=half_the_size), r"the right shape.*: for images .*shape \(4, 1, 16, 16\)"),
    ("logits in a column", broken(discriminator=columns), r"one float32 logit.*: .*D's logits have the shape \(4, 1\)"),
    (
        "batch norm",
        broken(trunk=mixing),
        r"With `per_image` D judges each image by itself.*: the logit of an image depends",
    ),
    ("no second derivative", broken(trunk=once), r"differentiated once more\.: RuntimeError: .*once_differentiable"),
    (
        "an idle weight",
        broken(trunk=with_an_idle_weight),
        r"Gradients reach .*: D's trunk\.0\.idle\.weight gets no gradient",
    ),
    ("deaf", broken(generator=deaf), r"Labels decide .*: conditioning=concat: G generates the same images"),
    ("noise in evaluation", broken(upsampler=noisy), r"repeat themselves.*: G in evaluation mode gives other values"),
    ("no resolution", broken(upsampler=picky), r"8, 16, 32 or 64 rows.*: it accepts none of them: .*for 12"),
    (
        "weights without a seed",
        broken(upsampler=untrained),
        r"seed decides the weights\.: another seed gives the same G",
    ),
]


@pytest.mark.parametrize(("model", "reason"), [pytest.param(*rest, id=name) for name, *rest in BROKEN])
def test_a_broken_model_is_caught_in_one_line(model: Model, reason: str) -> None:
    require_fault("model", model, reason)
