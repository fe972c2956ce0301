"""The GANs of the five project reports at equal length and under one FID: which of their settings is best?

The data are CIFAR-10, or a folder per class (`--set data.name=image_folder --data-dir DIR`). The reports' recipes at
32 x 32 are the baselines, as far as their settings are searched here (batch and length are the same for all), and the
search goes on from them. FID is the standard one (Inception), whose weights are downloaded once.
"""

from optuna.distributions import CategoricalDistribution, FloatDistribution

from gansearch.config import TrialConfig
from gansearch.run import Space, When
from gansearch.search.parameters import FORBIDDEN, PARAMETERS

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
        **PARAMETERS,
        "model.name": CategoricalDistribution(["dcgan", "sagan", "resnet"]),
        "model.conditioning": CategoricalDistribution(["none", "concat", "projection", "acgan"]),
        "model.attention_at": When(
            "model.name", among=["dcgan", "sagan"], domain=CategoricalDistribution(["none", 8, 16])
        ),
        "model.leaky_slope": When("model.name", among=["dcgan", "sagan"], domain=FloatDistribution(0.0, 0.3)),
        "model.spectral_norm": When("model.name", "dcgan", CategoricalDistribution([False, True])),
        "model.d_norm": When("model.name", "dcgan", CategoricalDistribution(["auto", "none"])),
        "model.init": When("model.name", "dcgan", CategoricalDistribution(["normal", "glorot"])),
        "model.g_slope": When("model.name", "dcgan", FloatDistribution(0.0, 0.3)),
        "optim.beta2": CategoricalDistribution([0.9, 0.999]),
    },
    # D of a sagan or a resnet has spectral norm in any case.
    forbidden=[*FORBIDDEN, {"model.name": ["sagan", "resnet"], "loss.name": "wgan"}],
    baselines=["dcgan-a", "dcgan-b", "sagan-hinge-replay", "sagan-wgan-gp", "sagan-wgan", "sngan-32"],
    trials=64,
)
