"""What the spaces of this repository search and forbid, beyond what holds for every space."""

import pytest

from gansearch.search.feasibility import check_space
from gansearch.search.find_space import configure, find_space


@pytest.mark.parametrize("name", ["digits", "sagan32", "reports"])
def test_spectral_norm_with_clipping_is_forbidden(name: str) -> None:
    space = find_space(name)
    values = {"model.name": "dcgan", "model.spectral_norm": True, "loss.name": "wgan"}
    assert space.violated(values) is not None
    assert space.violated(values | {"model.spectral_norm": False}) is None
    assert space.violated(values | {"loss.name": "wgan-gp"}) is None
    # D of a sagan or a resnet has spectral norm without the option.
    if name != "digits":
        assert space.violated({"model.name": "sagan", "loss.name": "wgan"}) is not None


@pytest.mark.parametrize(("name", "models"), [("sagan32", ["dcgan", "sagan"]), ("reports", ["dcgan", "sagan"])])
def test_attention_is_searched_for_dcgan_and_sagan(name: str, models: list[str]) -> None:
    space = find_space(name)
    choices = space.params["model.name"].domain.choices
    assert [model for model in choices if space.applies("model.attention_at", {"model.name": model})] == models


@pytest.mark.parametrize("setting", [{"loss.name": "wgan"}, {"model.spectral_norm": True}, {"optim.d_lr": 1e-3}])
@pytest.mark.parametrize("name", ["digits", "sagan32"])
def test_a_setting_leaves_what_can_be_searched(name: str, setting: dict[str, object]) -> None:
    space = configure(find_space(name), setting, None)
    check_space(space)
    assert space.baselines
