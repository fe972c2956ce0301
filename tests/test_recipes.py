"""The known recipes: complete, of the weight that their description implies, and able to train."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import nn

from gansearch.config import TrialConfig
from gansearch.data.digits import Digits
from gansearch.errors import UserError
from gansearch.models.base import ImageShape
from gansearch.recipes import RECIPES, recipe
from gansearch.training.build import build_networks
from gansearch.training.feasibility import check
from gansearch.training.loop import Trainer

CPU = torch.device("cpu")
ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_complete(name: str) -> None:
    config = check(recipe(name).config)
    assert TrialConfig.model_validate_json(config.to_json()) == config
    assert recipe(name).about


def test_an_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(UserError, match="unknown recipe 'dcgna'; did you mean dcgan"):
        recipe("dcgna")


ADAM = {"optim.g_lr": 2e-4, "optim.d_lr": 2e-4, "optim.beta1": 0.5}
SLOW = {"optim.g_lr": 5e-5, "optim.d_lr": 5e-5, "optim.beta1": 0.5, "train.batch": 128, "data.resolution": 64}
SAID: dict[str, dict[str, Any]] = {
    "dcgan": {**ADAM, "model.leaky_slope": 0.2, "loss.name": "bce", "model.spectral_norm": False},
    "dcgan-a": {**ADAM, "train.batch": 32, "model.leaky_slope": 0.2, "model.g_slope": 0.0, "loss.name": "bce"},
    "sagan-hinge-replay": {
        "optim.g_lr": 4e-4,
        "optim.d_lr": 4e-4,
        "optim.beta1": 0.5,
        "model.conditioning": "concat",
        "model.attention_at": 8,
        "model.spectral_norm": True,
        "model.leaky_slope": 0.1,
        "loss.name": "hinge",
    },
    "dcgan-b": {**ADAM, "model.name": "dcgan", "model.g_slope": 0.2, "loss.name": "bce"},
    "dcgan-e": {**ADAM, "model.name": "dcgan", "model.g_slope": 0.0, "loss.name": "bce"},
    "mlp-64": {**ADAM, "model.name": "mlp", "model.features": 256, "data.resolution": 64},
    "sagan-wgan-gp": {
        "loss.name": "wgan-gp",
        "model.conditioning": "concat",
        "model.z_dim": 100,
        "model.attention_at": 8,
        "optim.g_lr": 1e-4,
        "optim.d_lr": 4e-4,
    },
    "dcgan-64": {**SLOW, "model.z_dim": 100, "model.features": 64, "model.conditioning": "none"},
    "acgan-64": {**SLOW, "model.z_dim": 100, "model.features": 64, "model.conditioning": "acgan"},
    "wgan-gp-64": {**SLOW, "loss.name": "wgan-gp", "model.conditioning": "concat"},
    "dcgan-128-64": {"loss.smoothing": 0.1, "model.conditioning": "none"},
    "cgan-64": {"loss.smoothing": 0.1, "model.conditioning": "concat"},
    "sagan-wgan": {"loss.name": "wgan", "model.attention_at": 8},
    "sngan-32": {"loss.name": "hinge", "optim.beta1": 0.0, "optim.beta2": 0.9, "optim.d_steps": 5},
}


@pytest.mark.parametrize("name", SAID)
def test_a_recipe_has_the_options_of_its_report(name: str) -> None:
    flat = check(recipe(name).config).flat()
    assert {path: flat[path] for path in SAID[name]} == SAID[name]


def test_what_differs_between_recipes_does() -> None:
    flat = {name: check(recipe(name).config).flat() for name in RECIPES}
    assert flat["sagan-hinge-replay"]["replay.every"] > 0
    for name in ("dcgan-128-64", "cgan-64"):
        assert flat[name]["model.dropout"] > 0 and flat[name]["loss.label_noise"] > 0


# Weights by hand: a convolution of k x k from i to o channels has i * o * k * k and o biases, batch norm 2 a channel,
# and a convolution before a batch norm no bias. 4 x 4 = 16 and 3 x 3 = 9 are kernels, or positions of the smallest map.
BN = 2
UP_256_128_64 = BN * 256 + 256 * 128 * 16 + BN * 128 + 128 * 64 * 16 + BN * 64  # G's maps of 4, 8, 16
DCGAN_G = 100 * 256 * 16 + UP_256_128_64 + 64 * 3 * 16
DCGAN_D = (3 * 64 * 16 + 64) + (64 * 128 * 16 + BN * 128) + (128 * 256 * 16 + BN * 256) + (256 * 16 + 1)
PLAIN_D = (3 * 64 * 16 + 64) + (64 * 128 * 16 + 128) + (128 * 256 * 16 + 256)  # without norm, without the last layer
ATTENTION_128 = 2 * (128 * 16 + 16) + 2 * (128 * 128 + 128) + 1  # f, g; h, v; gamma
G_64 = 100 * 512 * 16 + BN * 512 + 512 * 256 * 16 + UP_256_128_64 + 64 * 3 * 16
LABEL_64 = 10 * 512 * 16  # ten more inputs
CONVS_64 = 3 * 64 * 16 + 64 + 64 * 128 * 16 + 128 * 256 * 16 + 256 * 512 * 16  # D's, without norm or later biases
MIDDLE_64 = 128 + 256 + 512
UNIFORM_UP = 4 * (128 * 128 * 16 + 128) + (128 * 3 * 64 + 3)  # 8 x 8 = 64 is the last kernel
UNIFORM_DOWN = (3 * 128 * 9 + 128) + 4 * (128 * 128 * 9 + 128) + (128 * 2 * 2 + 1)
UP_BLOCK = 2 * (256 * 256 * 9 + 256) + (256 * 256 + 256) + 2 * BN * 256
RES_128 = 2 * (128 * 128 * 9 + 128)
WEIGHTS = {
    "dcgan-a": (DCGAN_G, DCGAN_D),
    "dcgan-b": (DCGAN_G, PLAIN_D + 256 * 16 + 1),
    "dcgan-e": (DCGAN_G, DCGAN_D),
    "sagan-wgan": (DCGAN_G + ATTENTION_128, DCGAN_D + ATTENTION_128),
    "sagan-hinge-replay": (
        DCGAN_G + 10 * 256 * 16 + ATTENTION_128,
        PLAIN_D + ATTENTION_128 + (256 * 16 + 10) + 1,
    ),
    "sagan-wgan-gp": (DCGAN_G + 10 * 256 * 16 + ATTENTION_128 + 3, 1_884_396),
    "dcgan-64": (G_64, CONVS_64 + BN * MIDDLE_64 + 512 * 16 + 1),
    "acgan-64": (G_64 + LABEL_64, CONVS_64 + BN * MIDDLE_64 + (512 * 16 + 1) + (512 * 16 + 1) * 10),
    "wgan-gp-64": (G_64 + LABEL_64, CONVS_64 + MIDDLE_64 + 512 * 16 + 10 + 1),
    "mlp-64": (
        101 * 256 + BN * 256 + 257 * 512 + BN * 512 + 513 * 1024 + BN * 1024 + 1025 * 64 * 64 * 3,
        (64 * 64 * 3 + 1) * 512 + 513 * 256 + 257 * 128 + 129,
    ),
    "dcgan-128-64": (101 * 128 * 16 + UNIFORM_UP, UNIFORM_DOWN),
    "cgan-64": (111 * 128 * 16 + UNIFORM_UP, UNIFORM_DOWN + 10),
    "sngan-32": (
        129 * 256 * 16 + 3 * UP_BLOCK + BN * 256 + (256 * 3 * 9 + 3),
        (3 * 128 * 9 + 128 + 128 * 128 * 9 + 128 + 3 * 128 + 128) + (RES_128 + 129 * 128) + 2 * RES_128 + 129,
    ),
}


def networks(name: str, classes: int = 10) -> tuple[nn.Module, nn.Module]:
    config = check(recipe(name).config)
    return build_networks(config, ImageShape(3, config.data.resolution, classes), CPU)


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("name", WEIGHTS)
def test_the_weight_of_a_recipe_by_hand(name: str) -> None:
    G, D = networks(name)
    assert (count(G), count(D)) == WEIGHTS[name]


def test_every_recipe_of_the_reports_is_weighed() -> None:
    assert set(RECIPES) - set(WEIGHTS) == {"dcgan", "sngan"}  # whose weight tests/models/test_dcgan.py has


def test_the_discriminator_of_sagan_wgan_gp_layer_by_layer() -> None:
    _, D = networks("sagan-wgan-gp")
    by_hand = (
        (3 * 64 * 16 + 64)
        + (64 * 128 * 16 + 128)
        + ATTENTION_128
        + (128 * 256 * 16 + 256)
        + (256 * 512 * 9 + 512)
        + (8192 + 10 + 1)
    )
    assert count(D) == by_hand == 1_884_396
    vectors = [buffer for name, buffer in D.named_buffers() if name.endswith(("._u", "._v"))]
    assert sum(v.numel() for v in vectors) == (64 + 3 * 16) + (128 + 64 * 16) + (256 + 128 * 16) == 3_568
    assert len(vectors) == 6


def test_a_hundred_and_twenty_classes() -> None:
    ten, many = (tuple(map(count, networks("cgan-64", classes))) for classes in (10, 120))
    assert many[0] - ten[0] == 110 * 128 * 16 and many[1] - ten[1] == 110


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of colour images in ten classes: digits, each class in a hue of its own."""
    folder = tmp_path_factory.mktemp("photographs")
    digits = Digits().load("train")
    assert digits.labels is not None
    for number, (pixels, label) in enumerate(zip(digits.pixels[:400], digits.labels[:400].tolist(), strict=True)):
        hue = Image.new("HSV", (32, 32), (label * 25, 200, 0))
        bands = [*hue.split()[:2], Image.fromarray(pixels[0].numpy())]
        (folder / f"class{label}").mkdir(exist_ok=True)
        Image.merge("HSV", bands).convert("RGB").save(folder / f"class{label}" / f"{number}.png")
    return folder


def brief(config: TrialConfig, folder: Path) -> TrialConfig:
    """Returns the recipe with its nets, losses and rates, for eight steps of G, or three with five D steps each.

    The batches are of 8 images, of 4 for the residual nets, which are the slowest by far; 32 images are scored.
    """
    d_steps = config.optim.d_steps
    changes: dict[str, Any] = {
        "data.name": "image_folder",
        "data.dir": str(folder),
        "data.resolution": config.data.resolution,
        "metrics.name": "digits-classifier",
        "metrics.num_fake": 32,
        "train.evaluations": 1,
        "train.batch": 4 if config.model.name == "resnet" else 8,
    }
    steps = 8 if d_steps == 1 else 3 * d_steps
    return config.override(changes, steps * changes["train.batch"] / 1000)


SLOW_RECIPES = [name for name in WEIGHTS if RECIPES[name].config.data.resolution == 64] + ["sngan-32"]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW_RECIPES)) for name in WEIGHTS]
)
def test_a_recipe_trains(name: str, photographs: Path) -> None:
    """Every matrix of G changes, and no loss, weight or image becomes infinite or NaN, which would raise Diverged."""
    trainer = Trainer(check(brief(recipe(name).config, photographs)), CPU)
    before = [parameter.detach().clone() for parameter in trainer._state.G.parameters() if parameter.dim() > 1]
    evaluation = trainer.train_until_evaluation()
    assert trainer.shown >= 3 * trainer.config.optim.d_steps * trainer.config.train.batch
    assert math.isfinite(evaluation.fid)
    after = [parameter for parameter in trainer._state.G.parameters() if parameter.dim() > 1]
    assert not any(torch.equal(p, q) for p, q in zip(after, before, strict=True))


def test_the_page_has_every_recipe_and_the_fid_of_its_source() -> None:
    rows = [line for line in (ROOT / "docs" / "recipes.md").read_text().splitlines() if line.startswith("| `")]
    for name in WEIGHTS:
        (row,) = (row for row in rows if row.startswith(f"| `{name}` "))
        assert row.endswith(f"| {recipe(name).reported or '-'} |") and recipe(name).about in row
        weights = [f"{count / 1e6:.2f}" for count in WEIGHTS[name]]
        assert f"| {' / '.join(weights)} |" in row
