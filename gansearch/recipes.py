"""Recipes: named, complete configurations of known GANs. A recipe is a baseline of a search, or runs alone.

The recipes of the five project reports carry the FID that the report gives. This FID was measured under another
protocol (and mostly on fewer images), so it is shown and never ranked against ours. Options that a report does not give
are taken from the paper of the GAN: Radford et al. 2016 (Adam 2e-4, beta1 0.5, slope 0.2, batch 128), Arjovsky et al.
2017 (5e-5, five D steps, clipping at 0.01), Gulrajani et al. 2017 (penalty 10, five D steps).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gansearch.config import TrialConfig
from gansearch.errors import unknown

_DIGITS = TrialConfig().override({"model.features": 32})

_CIFAR10 = TrialConfig().override(
    {
        "data.name": "cifar10",
        "train.ema_kimg": 0,
        "train.batch": 128,
        "train.evaluations": 40,
        "metrics.name": "inception-v3-compat",
        "metrics.num_fake": 10_000,
    },
    max_kimg=2_000,
)
_CIFAR10_64 = _CIFAR10.override({"data.resolution": 64})
_EPOCHS_40 = _CIFAR10_64.override({"optim.g_lr": 5e-5, "optim.d_lr": 5e-5})

_SAGAN_HINGE = {
    "model.conditioning": "concat",
    "model.attention_at": 8,
    "model.spectral_norm": True,
    "model.leaky_slope": 0.1,
    "loss.name": "hinge",
    "replay.every": 2,
    "optim.g_lr": 4e-4,
    "optim.d_lr": 4e-4,
    "train.batch": 64,
}
_WIDTH_128 = {"model.name": "uniform", "loss.name": "bce", "loss.smoothing": 0.1, "loss.label_noise": 0.05}


@dataclass(frozen=True)
class Recipe:
    """A configuration, a description in one line, and the FID that the source reports, if any."""

    config: TrialConfig
    about: str
    reported: str | None = None


def _recipe(
    about: str, base: TrialConfig, changes: Mapping[str, Any], *, kimg: float | None = None, fid: str | None = None
) -> Recipe:
    return Recipe(base.override(changes, kimg), about, fid)


RECIPES: dict[str, Recipe] = {
    "dcgan": _recipe(
        "DCGAN on the digits with the settings of Radford et al. 2016, section 4",
        _DIGITS,
        {"model.leaky_slope": 0.2, "loss.name": "bce"},
    ),
    "sngan": _recipe(
        "spectral norm and hinge loss on the digits: Miyato et al. 2018, section 4, table 1 (setting C)",
        _DIGITS,
        {"model.leaky_slope": 0.1, "model.spectral_norm": True, "loss.name": "hinge"},
    ),
    "dcgan-a": _recipe("DCGAN, batch 32", _CIFAR10, {"train.batch": 32}, kimg=2_000, fid="65.96"),
    "sagan-hinge-replay": _recipe(
        "conditional DCGAN with attention at 8 x 8, spectral norm, hinge loss and experience replay",
        _CIFAR10,
        _SAGAN_HINGE,
        kimg=2_000,
        fid="143.65",
    ),
    "dcgan-b": _recipe(
        "DCGAN with leaky ReLU in G and no norm in D",
        _CIFAR10,
        {"model.g_slope": 0.2, "model.d_norm": "none", "model.init": "glorot"},
        fid="90 (mean over chunks of 1,024)",
    ),
    "sagan-wgan-gp": _recipe(
        "conditional self-attention GAN with gradient penalty, spectral norm and two learning rates",
        _CIFAR10,
        {
            "model.name": "sagan",
            "model.conditioning": "concat",
            "loss.name": "wgan-gp",
            # Zhang et al. 2019, section 4: these two rates and betas, one D step.
            "optim.g_lr": 1e-4,
            "optim.d_lr": 4e-4,
            "optim.beta1": 0.0,
            "optim.beta2": 0.9,
            "train.batch": 64,
        },
        kimg=2_000,
        fid="88.95 (mean over chunks of 1,024)",
    ),
    "dcgan-64": _recipe(
        "DCGAN on CIFAR-10 resized to 64 x 64", _EPOCHS_40, {}, fid="min 238.4, mean 312.8, max 473.5 over epochs"
    ),
    "acgan-64": _recipe(
        "the same, with a D that also predicts the class",
        _EPOCHS_40,
        {"model.conditioning": "acgan"},
        fid="min 295.8, mean 345.1, max 427.5 over epochs",
    ),
    "wgan-gp-64": _recipe(
        "the same, conditional, with gradient penalty",
        _EPOCHS_40,
        {"model.conditioning": "concat", "loss.name": "wgan-gp", "optim.d_steps": 5},
    ),
    "mlp-64": _recipe("dense layers alone", _CIFAR10_64, {"model.name": "mlp"}),
    "dcgan-128-64": _recipe("128 channels at every map, dropout, smoothed and noisy labels", _CIFAR10_64, _WIDTH_128),
    "cgan-64": _recipe(
        "the same, conditional, for data of many classes", _CIFAR10_64, {**_WIDTH_128, "model.conditioning": "concat"}
    ),
    "dcgan-e": _recipe(
        "DCGAN over 120 epochs",
        _CIFAR10,
        {"train.evaluations": 24},
        kimg=6_000,
        fid="320/142/98/88/82/80/80 at epochs 0/5/10/20/40/60/120",
    ),
    "sagan-wgan": _recipe(
        "attention at 8 x 8 with the Wasserstein loss and weight clipping",
        _CIFAR10,
        {
            "model.attention_at": 8,
            "loss.name": "wgan",
            "optim.g_lr": 5e-5,
            "optim.d_lr": 5e-5,
            "optim.beta1": 0.0,
            "optim.d_steps": 5,
            "train.batch": 64,
        },
        kimg=2_000,
    ),
    # Miyato et al. 2018: setting C of table 1 for residual nets, 50,000 G steps. The higher FID is from this paper, the
    # lower FID from later implementations that train longer.
    "sngan-32": _recipe(
        "residual blocks, spectral norm and hinge loss: a strong baseline from the literature (Miyato et al. 2018)",
        _CIFAR10,
        {
            "model.name": "resnet",
            "loss.name": "hinge",
            "optim.beta1": 0.0,
            "optim.beta2": 0.9,
            "optim.d_steps": 5,
            "train.batch": 64,
        },
        kimg=16_000,
        fid="16.8-21.7",
    ),
}


def recipe(name: str) -> Recipe:
    """Returns the recipe of that name. Raises UserError with the nearest names where there is none."""
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    return RECIPES[name]
