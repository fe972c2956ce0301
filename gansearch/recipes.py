"""Recipes: named, complete configurations of known GANs. A recipe is a baseline for searches and runs alone."""

from gansearch.config import TrialConfig
from gansearch.errors import unknown

_DIGITS = TrialConfig().override({"model.features": 32})

RECIPES: dict[str, TrialConfig] = {
    # Radford et al. 2016, section 4: Adam 2e-4 with beta1 0.5, slope 0.2, cross entropy.
    "dcgan": _DIGITS.override({"model.leaky_slope": 0.2, "loss.name": "bce"}),
    # Miyato et al. 2018, table 1 (setting C) with the hinge loss of section 4: spectral norm in D, beta1 0.5.
    "sngan": _DIGITS.override({"model.leaky_slope": 0.1, "model.spectral_norm": True, "loss.name": "hinge"}),
}


def recipe(name: str) -> TrialConfig:
    """The recipe of that name; UserError with the nearest names where there is none."""
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    return RECIPES[name]
