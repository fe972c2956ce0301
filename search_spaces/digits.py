"""The default search: embedded handwritten digits at 32 x 32, a few minutes on two cores."""

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from gansearch.config import TrialConfig
from gansearch.run import Space, When

SPACE = Space(
    base=TrialConfig().override({"model.features": 32}),
    params={
        "optim.g_lr": FloatDistribution(2e-4, 4e-3, log=True),
        "optim.d_lr": FloatDistribution(2e-4, 4e-3, log=True),
        "optim.beta1": FloatDistribution(0.0, 0.5),
        "optim.d_steps": IntDistribution(1, 2),
        "model.leaky_slope": FloatDistribution(0.0, 0.3),
        "model.attention_at": CategoricalDistribution(["none", 8, 16]),
        "model.spectral_norm": CategoricalDistribution([False, True]),
        "loss.name": CategoricalDistribution(["bce", "hinge", "wgan", "wgan-gp"]),
        "loss.clip": When("loss.name", "wgan", FloatDistribution(0.01, 0.1, log=True)),
        "loss.penalty_weight": When("loss.name", "wgan-gp", FloatDistribution(1.0, 20.0, log=True)),
        "replay.every": CategoricalDistribution([0, 2, 8]),
    },
    baselines=["dcgan", "sngan"],
    trials=16,
)
