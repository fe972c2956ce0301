"""The known recipes: complete, and what their papers say."""

import pytest

from gansearch import registry
from gansearch.errors import UserError
from gansearch.recipes import RECIPES, recipe
from gansearch.training.loop import check


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_can_be_built(name: str) -> None:
    config = check(recipe(name))
    assert registry.resolve(config) == config


def test_dcgan_is_the_paper_s() -> None:
    flat = check(recipe("dcgan")).flat()
    paper = {"optim.g_lr": 2e-4, "optim.d_lr": 2e-4, "optim.beta1": 0.5, "model.leaky_slope": 0.2, "loss.name": "bce"}
    assert {path: flat[path] for path in paper} == paper
    assert flat["model.spectral_norm"] is False and flat["model.attention_at"] == "none"


def test_an_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(UserError, match="unknown recipe 'dcgna'; did you mean dcgan"):
        recipe("dcgna")
