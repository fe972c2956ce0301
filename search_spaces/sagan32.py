"""Self-attention GANs on 32 x 32 colour images: CIFAR-10, or `--set data.name=image_folder --data-dir DIR`.

FID is the standard one (Inception), whose weights are downloaded once. Without a network connection give the weights
with `--set metrics.weights=FILE`.
"""

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from gansearch.config import TrialConfig
from gansearch.run import Space, When

SPACE = Space(
    base=TrialConfig().override(
        {
            "data.name": "cifar10",
            "model.features": 64,
            "train.max_kimg": 5760,
            "train.ema_kimg": 20,
            "metrics.name": "inception-v3-compat",
            "metrics.num_fake": 2048,
        }
    ),
    params={
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
    },
    baselines=["dcgan", "sngan"],
    trials=64,
)
