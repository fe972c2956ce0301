"""The parameters that the shipped spaces have in common, and the combinations that they all forbid.

A space begins with `PARAMETERS` and then says what differs: `params={**PARAMETERS, "optim.beta1": ...}`.
"""

from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from gansearch.run.space import When

PARAMETERS: dict[str, Any] = {
    "optim.g_lr": FloatDistribution(5e-5, 1e-3, log=True),
    "optim.d_lr": FloatDistribution(5e-5, 1e-3, log=True),
    "optim.beta1": FloatDistribution(0.0, 0.6),
    "optim.d_steps": IntDistribution(1, 5),
    "model.leaky_slope": FloatDistribution(0.0, 0.3),
    "model.attention_at": CategoricalDistribution(["none", 8, 16]),
    "model.spectral_norm": CategoricalDistribution([False, True]),
    "loss.name": CategoricalDistribution(["bce", "hinge", "wgan", "wgan-gp"]),
    "loss.clip": When("loss.name", "wgan", FloatDistribution(0.005, 0.1, log=True)),
    "loss.penalty_weight": When("loss.name", "wgan-gp", FloatDistribution(1.0, 20.0, log=True)),
    "replay.every": CategoricalDistribution([0, 2, 8]),
}

# Spectral norm divides a weight by its largest singular value, so it also undoes what clipping does to the size.
CLIPPED_SPECTRAL_NORM: dict[str, Any] = {"model.spectral_norm": True, "loss.name": "wgan"}
FORBIDDEN = [CLIPPED_SPECTRAL_NORM]
