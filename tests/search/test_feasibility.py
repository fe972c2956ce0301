"""A space is tried at its edges before the search starts: what cannot be built or trained on is refused."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from gansearch.config import TrialConfig
from gansearch.data.base import Images
from gansearch.errors import UserError
from gansearch.run import Space, When
from gansearch.search.feasibility import baseline_params, check_space, check_space_data

RATE = FloatDistribution(1e-4, 1e-2, log=True)
LOSS = CategoricalDistribution(["bce", "wgan"])
CLIP = When("loss.name", "wgan", FloatDistribution(0.01, 0.1))
Params = dict[str, BaseDistribution | When]


def space_of(params: Mapping[str, BaseDistribution | When], **fields: Any) -> Space:
    return Space(base=TrialConfig().override({"model.features": 8}), params=params, **fields)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"optim.g_lrr": RATE}, r"unknown option 'optim\.g_lrr'; did you mean optim\.g_lr"),
        ({"optm.g_lr": RATE}, r"unknown option 'optm\.g_lr'; did you mean optim\.g_lr"),
        ({"model.faetures": IntDistribution(8, 16)}, r"'model\.faetures'; did you mean model\.features"),
        ({"seed": IntDistribution(0, 9)}, "seed can't be searched"),
        ({"data.resolution": CategoricalDistribution([16, 32])}, r"data\.resolution can't be searched"),
        ({"metrics.num_fake": IntDistribution(10, 99)}, r"metrics\.num_fake can't be searched"),
        ({"train.max_kimg": FloatDistribution(1, 2)}, r"train\.max_kimg can't be searched"),
        ({"train.evaluations": IntDistribution(1, 9)}, r"train\.evaluations can't be searched"),
        ({"loss.clip": CLIP}, r"loss\.clip depends on loss\.name, which is no unconditional parameter"),
        (
            {"loss.name": LOSS, "loss.clip": CLIP, "optim.g_lr": When("loss.clip", 0.05, RATE)},
            r"optim\.g_lr depends on loss\.clip, which is no unconditional",
        ),
        (
            {"loss.name": CategoricalDistribution(["bce", "hinge"]), "loss.clip": CLIP},
            r"loss\.clip applies when loss\.name=wgan, a value that loss\.name never has",
        ),
        ({"loss.name": LOSS, "loss.clip": CLIP.domain}, r"unknown option of bce 'loss\.clip'"),
        ({"loss.name": CategoricalDistribution(["bce", "wgna"])}, r"unknown loss\.name 'wgna'; did you mean wgan"),
        ({"optim.beta1": FloatDistribution(0.5, 1.0)}, r"optim\.beta1=1\.0: .*less than 1"),
        ({"optim.d_steps": IntDistribution(0, 3)}, r"optim\.d_steps=0: .*"),
        ({"model.leaky_slope": FloatDistribution(-0.1, 0.2)}, r"model\.leaky_slope=-0\.1"),
        (
            {"model.attention_at": CategoricalDistribution(["none", 32])},
            r"model\.attention_at=32: .* map is 16; set that",
        ),
        (
            {
                "model.attention_at": CategoricalDistribution([8, 16]),
                "model.features": CategoricalDistribution(list(range(8, 608))),
            },
            r"model\.attention_at, model\.features combine in more than 1024 ways",
        ),
        (
            {
                "model.spectral_norm": CategoricalDistribution([True, False]),
                "model.d_norm": CategoricalDistribution(["none", "batch"]),
                "replay.every": CategoricalDistribution(list(range(3000))),
                "loss.name": CategoricalDistribution(["bce", "wgan-gp"]),
            },
            r"model\.d_norm=batch mixes images",
        ),
        (
            {"train.batch": CategoricalDistribution([1600, 16]), "optim.d_steps": IntDistribution(1, 5)},
            r"optim\.d_steps=5: there are only 1 D steps",
        ),
        (
            {"model.name": CategoricalDistribution(["mlp"]), "model.features": IntDistribution(64, 512)},
            r"model\.features=65: .*multiple of 2",
        ),
        ({"model.features": FloatDistribution(8, 64)}, r"model\.features=42\.6.*: .*integer"),
        (
            {"loss.name": LOSS, "loss.clip": When("loss.name", "wgan", FloatDistribution(0.0, 0.1))},
            r"loss\.clip=0\.0",
        ),
    ],
)
def test_a_space_that_can_t_be_searched_is_refused(params: Params, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        check_space(space_of(params))
    assert "\n" not in str(caught.value)


def test_a_combination_that_can_t_be_built_is_found_wherever_it_lies() -> None:
    params: Params = {
        "loss.name": CategoricalDistribution(["bce", "wgan-gp"]),
        "model.spectral_norm": CategoricalDistribution([True, False]),
        "model.d_norm": CategoricalDistribution(["auto", "batch"]),
    }
    with pytest.raises(UserError, match=r"model\.d_norm=batch mixes images"):
        check_space(space_of(params))
    check_space(space_of({**params, "loss.name": LOSS}))


def test_a_baseline_must_lie_inside() -> None:
    inside: Params = {"optim.g_lr": RATE, "loss.name": LOSS, "loss.clip": CLIP}
    check_space(space_of(inside, baselines=["dcgan"]))
    assert baseline_params(space_of(inside), "dcgan") == {"optim.g_lr": 2e-4, "loss.name": "bce"}
    with pytest.raises(UserError, match=r"baseline sngan: unknown value of loss\.name: 'hinge'"):
        check_space(space_of(inside, baselines=["dcgan", "sngan"]))
    with pytest.raises(UserError, match=r"baseline dcgan: optim\.g_lr=0\.0002 .*widen it"):
        check_space(space_of({"optim.g_lr": FloatDistribution(1e-3, 1e-2)}, baselines=["dcgan"]))
    with pytest.raises(UserError, match="unknown recipe 'dcgna'; did you mean dcgan"):
        check_space(space_of(inside, baselines=["dcgna"]))


def test_baselines_that_are_one_and_the_same_are_refused() -> None:
    with pytest.raises(UserError, match="baselines dcgan and dcgan-a are one and the same in this space"):
        check_space(space_of({"optim.g_lr": FloatDistribution(1e-5, 1e-2, log=True)}, baselines=["dcgan", "dcgan-a"]))


CONDITIONING = {"model.conditioning": CategoricalDistribution(["none", "concat"])}


def images_of(labels: list[int] | None, classes: tuple[str, ...]) -> Images:
    count = 100 if labels is None else len(labels)
    pixels = torch.zeros(count, 3, 32, 32, dtype=torch.uint8)
    return Images(pixels, None if labels is None else torch.tensor(labels), classes)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (images_of(None, ()), r"model\.conditioning=concat: the data set has no labels; set it to none"),
        (images_of([0] * 99 + [1], ("cat", "dog")), "class dog has a single image, which no conditional GAN"),
        (images_of([0] * 100, ("cat", "dog")), "class dog has no image, which no conditional GAN"),
        (images_of([0] * 100, ("cat",)), "cat is the only class of these images: set model"),
        (images_of([0, 1] * 20, ("cat", "dog")), r"train\.batch=64: the data set has only 40 images"),
    ],
)
def test_data_that_some_trial_could_not_train_on_are_refused(images: Images, message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_space_data(space_of(CONDITIONING), images)


def test_labels_are_asked_for_only_where_they_are_used() -> None:
    check_space_data(space_of({}), images_of(None, ()))
    check_space_data(space_of({}), images_of([0] * 99 + [1], ("cat", "dog")))
    check_space_data(space_of(CONDITIONING), images_of([0, 1] * 50, ("cat", "dog")))
