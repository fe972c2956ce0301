"""gansearch: hyperparameter search for image GANs on Ray, Optuna and FID."""


def __getattr__(name: str) -> str:
    # Reading the version takes longer than all else that a light command imports, and is hardly ever wanted.
    if name == "__version__":
        from importlib.metadata import version

        return version("gansearch")
    raise AttributeError(f"module 'gansearch' has no attribute {name!r}")
