"""The default search: embedded handwritten digits at 32 x 32, a few minutes on two cores."""

from optuna.distributions import FloatDistribution, IntDistribution

from gansearch.config import TrialConfig
from gansearch.run import Space, When
from gansearch.search.parameters import FORBIDDEN, PARAMETERS

SPACE = Space(
    # The best trials are far better after 28.8 kimg than after 14.4, and with labels than without (docs/results.md).
    base=TrialConfig().override(
        {
            "model.features": 16,
            "model.conditioning": "projection",
            "train.max_kimg": 28.8,
            "train.evaluations": 18,
        }
    ),
    params={
        **PARAMETERS,
        # Small networks that train for minutes take larger steps.
        "optim.g_lr": FloatDistribution(2e-4, 4e-3, log=True),
        "optim.d_lr": FloatDistribution(2e-4, 4e-3, log=True),
        "optim.beta1": FloatDistribution(0.0, 0.5),
        "optim.d_steps": IntDistribution(1, 2),
        "loss.clip": When("loss.name", "wgan", FloatDistribution(0.01, 0.1, log=True)),
    },
    forbidden=FORBIDDEN,
    baselines=["dcgan", "sngan"],
    trials=32,
)
