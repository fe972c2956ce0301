"""The arguments of every benchmark that trains a recipe."""

import argparse

import torch

from gansearch.config import TrialConfig
from gansearch.recipes import RECIPES, recipe
from gansearch.search.find_space import parse_settings
from gansearch.training.feasibility import check


def add_arguments(parser: argparse.ArgumentParser, *, threads: int) -> None:
    parser.add_argument("--recipe", choices=sorted(RECIPES), default="dcgan")
    parser.add_argument("--threads", type=int, default=threads)
    parser.add_argument("--max-kimg", type=float, help="default: the recipe's")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="PATH=VALUE")


def prepare(arguments: argparse.Namespace) -> TrialConfig:
    """Sets the number of threads; returns the resolved recipe with the options of the command line."""
    torch.set_num_threads(arguments.threads)
    changes = parse_settings(arguments.settings, None)
    return check(recipe(arguments.recipe).config.override(changes, arguments.max_kimg))
