"""The one thing that pyproject.toml can't say: the spaces, a folder of their own here, are a part of the package."""

from setuptools import find_namespace_packages, setup

SPACES = "search_spaces"

setup(
    packages=[*find_namespace_packages(include=["gansearch*"]), f"gansearch.{SPACES}"],
    package_dir={f"gansearch.{SPACES}": SPACES},
)
