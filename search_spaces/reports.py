"""The GANs of the five project reports at equal length and under one FID: which of their settings is best?

The data are CIFAR-10, or a folder per class (`--set data.name=image_folder --data-dir DIR`). The reports' recipes at
32 x 32 are the baselines, as far as their settings are searched here (batch and length are the same for all), and the
search goes on from them. FID is the standard one (Inception), whose weights are downloaded once.
"""

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from gansearch.config import TrialConfig
from gansearch.run import Space, When

SPACE = Space(
    base=TrialConfig().override(
        {
            "data.name": "cifar10",
            "train.max_kimg": 2304,
            "train.ema_kimg": 20,
            "metrics.name": "inception-v3-compat",
            "metrics.num_fake": 2048,
        }
    ),
    params={
        "model.name": CategoricalDistribution(["dcgan", "sagan", "resnet"]),
        "model.conditioning": CategoricalDistribution(["none", "concat", "projection", "acgan"]),
        "model.attention_at": When("model.name", "dcgan", CategoricalDistribution(["none", 8, 16])),
        "model.spectral_norm": When("model.name", "dcgan", CategoricalDistribution([False, True])),
        "model.d_norm": When("model.name", "dcgan", CategoricalDistribution(["auto", "none"])),
        "model.init": When("model.name", "dcgan", CategoricalDistribution(["normal", "glorot"])),
        "model.g_slope": When("model.name", "dcgan", FloatDistribution(0.0, 0.3)),
        "model.leaky_slope": When("model.name", "dcgan", FloatDistribution(0.0, 0.3)),
        "optim.g_lr": FloatDistribution(5e-5, 1e-3, log=True),
        "optim.d_lr": FloatDistribution(5e-5, 1e-3, log=True),
        "optim.beta1": FloatDistribution(0.0, 0.6),
        "optim.beta2": CategoricalDistribution([0.9, 0.999]),
        "optim.d_steps": IntDistribution(1, 5),
        "loss.name": CategoricalDistribution(["bce", "hinge", "wgan", "wgan-gp"]),
        "loss.clip": When("loss.name", "wgan", FloatDistribution(0.005, 0.1, log=True)),
        "loss.penalty_weight": When("loss.name", "wgan-gp", FloatDistribution(1.0, 20.0, log=True)),
        "replay.every": CategoricalDistribution([0, 2, 8]),
    },
    baselines=["dcgan-a", "dcgan-b", "sagan-hinge-replay", "sagan-wgan-gp", "sagan-wgan", "sngan-32"],
    trials=64,
)
