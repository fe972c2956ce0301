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
from gansearch.search.corners import corners
from gansearch.search.feasibility import baseline_params, check_space, check_space_data

RATE = FloatDistribution(1e-4, 1e-2, log=True)
LOSS = CategoricalDistribution(["bce", "wgan"])
CLIP = When("loss.name", "wgan", FloatDistribution(0.01, 0.1))
RATIO = "optim.d_lr/optim.g_lr"
# optim.d_steps applies to half of the trials, and what depends on it to half of these.
DEEP: dict[str, BaseDistribution | When] = {
    "loss.name": LOSS,
    "optim.d_steps": When("loss.name", among=["wgan"], domain=IntDistribution(1, 2)),
    "optim.beta1": When("optim.d_steps", 2, FloatDistribution(0.0, 0.5)),
}
Params = dict[str, BaseDistribution | When]


def space_of(params: Mapping[str, BaseDistribution | When], **fields: Any) -> Space:
    return Space(**{"base": TrialConfig().override({"model.features": 8}), "params": params, **fields})


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
        ({"loss.clip": CLIP}, r"loss\.clip depends on loss\.name, which is no parameter of the space"),
        (
            {"loss.name": LOSS, "loss.clip": CLIP, "optim.g_lr": When("loss.clip", 0.05, RATE)},
            r"optim\.g_lr applies when loss\.clip=0\.05, which is practically never drawn",
        ),
        (
            {"loss.name": LOSS, "loss.clip": When("loss.name", among=["wgan", "hinge"], domain=RATE)},
            r"loss\.clip applies when loss\.name=hinge, a value that loss\.name never has",
        ),
        (
            {RATIO: IntDistribution(1, 2), "optim.beta1": When(RATIO, 2, FloatDistribution(0, 0.9))},
            r"optim\.beta1 depends on optim\.d_lr/optim\.g_lr: a condition names a parameter that is no ratio",
        ),
        # A depth of three: the default learning rates hide what lies at the end of the chain.
        ({**DEEP, "loss.penalty_weight": When("optim.d_steps", 2, RATE)}, r"unknown option of wgan 'loss\.penalty_w"),
        ({**DEEP, "optim.beta1": When("optim.d_steps", 2, FloatDistribution(0, 1))}, r"optim\.beta1=1\.0: .*less than"),
        ({RATIO: CategoricalDistribution([1.0, 2.0])}, rf"{RATIO} is a ratio and needs a range of numbers"),
        ({RATIO: RATE, "optim.d_lr": RATE}, rf"optim\.d_lr is searched twice, as {RATIO} and as optim\.d_lr"),
        ({RATIO: RATE, "optim.d_lr/optim.beta1": RATE}, r"optim\.d_lr is searched twice"),
        ({RATIO: RATE, "optim.g_lr": CategoricalDistribution([1e-3, 1e-4])}, r"a ratio to a category, optim\.g_lr"),
        ({"optim.d_lr/loss.name": RATE}, r"loss\.name=bce is no number"),
        ({"model.spectral_norm/optim.g_lr": RATE}, r"model\.spectral_norm=False is no number"),
        ({"model.init/optim.g_lr": RATE}, r"model\.init=normal is no number"),
        ({"optim.d_lr/optim.glr": RATE}, r"unknown option 'optim\.glr'; did you mean optim\.g_lr"),
        ({"optim.d_lr/loss.clip": RATE}, r"unknown option 'loss\.clip'"),
        ({"optim.dlr/optim.g_lr": RATE}, r"unknown option 'optim\.dlr'; did you mean optim\.d_lr"),
        ({"optim.d_lr/optim.g_lr/optim.beta1": RATE}, r"unknown option 'optim\.g_lr/optim\.beta1'"),
        ({"optim.d_lr/train.max_kimg": RATE}, r"train\.max_kimg is not the same for all trials"),
        ({"train.max_kimg/optim.g_lr": RATE}, r"train\.max_kimg/optim\.g_lr can't be searched"),
        (
            {"optim.beta1/optim.beta2": FloatDistribution(0.1, 1.5), "optim.beta2": FloatDistribution(0.1, 0.7)},
            r"optim\.beta1=1\.0.*: .*less than 1; it follows from optim\.beta1/optim\.beta2=1\.5: narrow that",
        ),
        ({"optim.d_steps/optim.g_steps": FloatDistribution(1, 2)}, r"optim\.d_steps=1\.6.*: .*integer"),
        (
            {
                "loss.name": LOSS,
                "optim.g_lr": When("loss.name", "bce", RATE),
                RATIO: When("loss.name", "wgan", FloatDistribution(1, 2)),
            },
            rf"{RATIO} never applies: its conditions on loss\.name exclude one another",
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


FLAGS: Params = {
    "loss.name": LOSS,
    "loss.clip": CLIP,
    "model.spectral_norm": CategoricalDistribution([True, False]),
    "model.d_norm": CategoricalDistribution(["auto", "batch"]),
    "optim.g_lr": RATE,
}


@pytest.mark.parametrize(
    ("clauses", "message"),
    [
        ([{"loss.nmae": "wgan"}], r"unknown option in a forbidden combination: 'loss\.nmae'; did you mean loss\.name"),
        ([{"loss.name": "wgna"}], r"forbidden loss\.name=wgna is a value that loss\.name never has"),
        ([{"loss.name": ["wgan", "hinge"]}], r"forbidden loss\.name=hinge is a value that loss\.name never has"),
        ([{"optim.g_lr": 1e-3}], r"forbidden optim\.g_lr: its single values are practically never drawn"),
        ([{"optim.beta1": 0.9, "loss.name": "wgan"}], r"never holds: optim\.beta1 is not searched and is 0\.5"),
        ([{"optim.beta1": 0.5}], r"holds for all trials: none of these is searched"),
        ([{"loss.smoothing": 0.0, "loss.name": "bce"}], r"not every loss has loss\.smoothing; name loss\.name"),
        ([{"loss.name": ["bce", "wgan"]}], r"all trials of this space are forbidden, by loss\.name=bce or wgan"),
        (
            [{"loss.name": "wgan"}, {"loss.name": "bce", "model.d_norm": ["auto", "batch"]}],
            r"all trials of this space are forbidden, by loss\.name=bce, model\.d_norm",
        ),
    ],
)
def test_a_forbidden_combination_must_be_possible_and_not_certain(clauses: list[Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        check_space(space_of(FLAGS, forbidden=clauses))
    assert "\n" not in str(caught.value)


def test_what_is_forbidden_need_not_be_possible_to_build() -> None:
    """D with batch norm mixes images, which the gradient penalty does not allow."""
    params = {**FLAGS, "loss.name": CategoricalDistribution(["wgan-gp", "wgan"])}
    with pytest.raises(UserError, match=r"model\.d_norm=batch mixes images"):
        check_space(space_of(params))
    check_space(space_of(params, forbidden=[{"loss.name": "wgan-gp", "model.d_norm": "batch"}]))


def test_what_must_be_built_is_found_behind_what_is_forbidden() -> None:
    """The first value of spectral norm is forbidden with wgan, so the clip is tried with another one."""
    params = {**FLAGS, "loss.clip": When("loss.name", "wgan", FloatDistribution(0.0, 0.1))}
    forbidden = [{"model.spectral_norm": True, "loss.name": "wgan"}]
    with pytest.raises(UserError, match=r"loss\.clip=0\.0"):
        check_space(space_of(params, forbidden=forbidden))
    found = corners(space_of(FLAGS, forbidden=forbidden))
    wgan = [corner["model.spectral_norm"] for corner in found if corner["loss.name"] == "wgan"]
    assert wgan and not any(wgan)


def test_a_conditional_parameter_is_tried_under_all_values_of_its_condition() -> None:
    params: Params = {
        "loss.name": CategoricalDistribution(["bce", "hinge", "wgan"]),
        "optim.d_steps": When("loss.name", among=["hinge", "wgan"], domain=IntDistribution(1, 2)),
        "optim.beta1": When("optim.d_steps", 2, FloatDistribution(0.0, 0.5, step=0.25)),
    }
    found = corners(space_of(params))
    assert {(corner["loss.name"], corner["optim.beta1"]) for corner in found if "optim.beta1" in corner} == {
        (loss, beta1) for loss in ("hinge", "wgan") for beta1 in (0.0, 0.25, 0.5)
    }


def test_spaces_of_ratios_and_deep_conditions_can_be_searched() -> None:
    check_space(space_of(DEEP))
    check_space(space_of({RATIO: FloatDistribution(0.25, 4), "optim.g_lr": RATE}))
    check_space(space_of({"loss.name": LOSS, "loss.clip": CLIP, "optim.d_lr/loss.clip": FloatDistribution(0.1, 1)}))
    smooth = TrialConfig().override({"model.features": 8, "loss.smoothing": 0.1})
    check_space(space_of({"optim.d_lr/loss.smoothing": FloatDistribution(0.1, 1)}, base=smooth))


def test_the_ratio_of_a_baseline_is_that_of_its_recipe() -> None:
    ratios: Params = {RATIO: FloatDistribution(0.5, 8.0), "optim.g_lr": RATE}
    assert baseline_params(space_of(ratios), "sagan-wgan-gp") == {RATIO: 4.0, "optim.g_lr": 1e-4}
    check_space(space_of(ratios, baselines=["dcgan", "sagan-wgan-gp"]))
    with pytest.raises(UserError, match=r"baseline sagan-wgan-gp: optim\.d_lr/optim\.g_lr=4\.0 .*1 to 2; widen it"):
        check_space(space_of({**ratios, RATIO: FloatDistribution(1, 2)}, baselines=["sagan-wgan-gp"]))
    with pytest.raises(UserError, match=r"baseline sngan-32: .* is 0\.0002/0\.0, which is no number"):
        baseline_params(space_of({"optim.d_lr/optim.beta1": FloatDistribution(1, 2)}), "sngan-32")


def test_a_forbidden_baseline_is_refused() -> None:
    params: Params = {
        "loss.name": CategoricalDistribution(["bce", "hinge"]),
        "model.spectral_norm": FLAGS["model.spectral_norm"],
    }
    clause = {"loss.name": "hinge", "model.spectral_norm": True}
    with pytest.raises(UserError, match=r"baseline sngan is forbidden in this space, by loss\.name=hinge, model\.spec"):
        check_space(space_of(params, baselines=["dcgan", "sngan"], forbidden=[clause]))


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
