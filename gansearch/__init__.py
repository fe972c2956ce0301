"""gansearch: hyperparameter search for image GANs on Ray, Optuna and FID."""

from importlib.metadata import version

__version__ = version("gansearch")
