"""Self-attention GANs on 32 x 32 colour images: CIFAR-10, or `--set data.name=image_folder --data-dir DIR`.

FID is the standard one (Inception), whose weights are downloaded once. Without a network connection give the weights
with `--set metrics.weights=FILE`.
"""

from optuna.distributions import CategoricalDistribution

from gansearch.config import TrialConfig
from gansearch.run import Space, When
from gansearch.search.parameters import FORBIDDEN, PARAMETERS

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
        **PARAMETERS,
        "model.name": CategoricalDistribution(["dcgan", "sagan"]),
        "model.spectral_norm": When("model.name", "dcgan", CategoricalDistribution([False, True])),
    },
    # D of a sagan has spectral norm in any case.
    forbidden=[*FORBIDDEN, {"model.name": "sagan", "loss.name": "wgan"}],
    baselines=["dcgan", "sngan", "sagan-wgan-gp"],
    trials=64,
)
