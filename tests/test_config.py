"""What a trial is: to JSON and back, changed by paths, refused where it is wrong."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gansearch.config import LossConfig, TrainConfig, TrialConfig, from_dict, from_json, whole_kimg
from gansearch.errors import UserError

RATES = st.floats(1e-9, 10)
PATHS = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "seed": st.integers(0, 2**32 - 1),
        "data.resolution": st.sampled_from([8, 32, 256]),
        "data.dir": PATHS,
        "model.attention_at": st.sampled_from(["none", 8, 16]),
        "model.spectral_norm": st.booleans(),
        "loss.name": st.sampled_from(["bce", "wgan", "wgan-gp"]),
        "loss.clip": RATES,
        "optim.g_lr": RATES,
        "optim.beta1": st.floats(0, 1, exclude_max=True),
        "optim.d_steps": st.integers(1, 9),
        "replay.fraction": st.floats(0, 1, exclude_min=True),
        "train.precision": st.sampled_from(["auto", "float32", "bf16"]),
        "metrics.weights": st.none() | PATHS,
    },
)


def refused(changes: dict[str, Any]) -> str:
    with pytest.raises(UserError) as caught:
        TrialConfig().override(changes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@given(CHANGES)
def test_json_and_back(changes: dict[str, Any]) -> None:
    config = TrialConfig().override(changes)
    again = from_json(config.to_json())
    assert again == config
    assert repr(again.flat()) == repr(config.flat())  # 1, 1.0 and True are equal, their texts are not


@given(CHANGES)
def test_an_override_changes_what_it_names_and_nothing_else(changes: dict[str, Any]) -> None:
    before = TrialConfig()
    assert before.override(changes).flat() == before.flat() | changes
    assert before == TrialConfig()


@given(CHANGES, st.randoms())
def test_the_order_of_changes_does_not_matter(changes: dict[str, Any], random: Any) -> None:
    shuffled = list(changes.items())
    random.shuffle(shuffled)
    assert TrialConfig().override(dict(shuffled)) == TrialConfig().override(changes)


def test_a_new_name_drops_the_options_of_the_old_component() -> None:
    wgan = TrialConfig().override({"loss.clip": 0.02, "loss.name": "wgan"})
    assert wgan.loss.options == {"clip": 0.02}
    assert wgan.override({"loss.name": "wgan"}).loss.options == {"clip": 0.02}
    assert wgan.override({"loss.name": "hinge"}).loss == LossConfig(name="hinge")
    folder = TrialConfig().override({"data.resolution": 64, "data.name": "image_folder", "data.dir": "d"})
    assert folder.override({"data.name": "digits"}).data.options == {"resolution": 64}


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("optim.g_lrr", "did you mean optim.g_lr"),
        ("optm.g_lr", "did you mean optim.g_lr"),
        ("train.max_kimgs", "did you mean train.max_kimg"),
        ("optim", "did you mean optim."),
        ("sed", "did you mean seed"),
        ("seed.x", "did you mean seed"),
        ("optim.g_lr.x", "did you mean optim.g_lr"),
        ("zzz.zzz", "known: "),
    ],
)
def test_an_unknown_path_names_the_nearest(path: str, hint: str) -> None:
    message = refused({path: 1})
    assert message.startswith(f"unknown option '{path}'; ") and hint in message


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("seed", -1),
        ("seed", 2**32),
        ("metrics.seed", -1),
        ("optim.g_lr", 0),
        ("optim.d_lr", float("nan")),
        ("optim.g_lr", float("inf")),
        ("optim.beta1", 1),
        ("optim.d_steps", 0),
        ("optim.d_steps", 1.5),
        ("replay.every", -1),
        ("replay.fraction", 0),
        ("train.batch", 1),
        ("train.precision", "float16"),
        ("metrics.num_fake", "many"),
        ("loss.name", None),
    ],
)
def test_a_value_out_of_its_domain_is_named(path: str, value: Any) -> None:
    assert refused({path: value}).startswith(f"{path}={value}: ")


def test_misspelt_and_malformed_configurations_are_refused() -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"optim": {"glr": 1}}, "there is no option optim.glr"),
        ({"data": {"dir": "a\0b"}}, "data.dir has NUL in it"),
        ({"optimiser": {}}, "there is no option optimiser"),
        ({"train": 3}, "train=3: "),
    ]
    for tree, message in wrong:
        with pytest.raises(UserError, match=message):
            from_dict(tree)
    with pytest.raises(UserError, match="not valid JSON"):
        from_json("{")
    with pytest.raises(UserError, match=r"the configuration: .*dict"):
        from_json("[]")


def test_a_config_is_frozen() -> None:
    config = TrialConfig()
    for section, name in [(config, "seed"), (config.optim, "g_lr"), (config.loss, "name")]:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(section, name, getattr(section, name))


LENGTHS = st.floats(1e-3, 1e5)
EVALUATIONS = st.integers(1, 100)
BATCHES = st.integers(2, 1024)


@given(LENGTHS, EVALUATIONS, BATCHES)
def test_a_whole_length_is_the_nearest_with_evaluations_at_whole_batches(
    max_kimg: float, evaluations: int, batch: int
) -> None:
    length = whole_kimg(max_kimg, evaluations=evaluations, batch=batch)
    train = TrainConfig(batch=batch, evaluations=evaluations, max_kimg=length)
    assert train.eval_images % batch == 0 and train.eval_images >= batch
    assert train.max_images == train.eval_images * evaluations == round(length * 1000)
    step = evaluations * batch / 1000
    assert abs(length - max_kimg) <= step / 2 * (1 + 1e-9) or length == step > max_kimg
    assert whole_kimg(length, evaluations=evaluations, batch=batch) == length


def test_a_length_between_batches_is_refused_with_the_nearest() -> None:
    message = refused({"train.max_kimg": 17.0})
    assert "max_kimg=17 is not 9 evaluations of whole batches of 64; the nearest is 17.28" in message
    assert TrialConfig().override({}, 17.0).train.max_kimg == 17.28
    assert TrialConfig().override({}, 1e-6).train.max_kimg == 0.576
    assert TrialConfig().override({"train.max_kimg": 34.56}) == TrialConfig().override({}, 34.5)


@pytest.mark.parametrize("length", [0.0, -1.0, float("inf"), float("nan")])
def test_a_length_that_is_none_is_refused(length: float) -> None:
    with pytest.raises(UserError, match="is not possible"):
        TrialConfig().override({}, length)


@given(LENGTHS, EVALUATIONS, BATCHES, st.floats(0.1, 50))
def test_a_lengthened_trial_is_evaluated_where_it_was_and_further_on(
    max_kimg: float, evaluations: int, batch: int, times: float
) -> None:
    length = whole_kimg(max_kimg, evaluations=evaluations, batch=batch)
    config = TrialConfig(train=TrainConfig(batch=batch, evaluations=evaluations, max_kimg=length))
    longer = config.lengthened(times * length)
    assert longer.train.eval_images == config.train.eval_images
    assert abs(longer.train.max_kimg - times * length) <= config.train.eval_images / 2000 * (1 + 1e-9) or (
        longer.train.evaluations == 1
    )
    assert longer.lengthened(length) == config


def test_a_length_that_is_the_same_changes_nothing() -> None:
    assert TrialConfig().lengthened(14.4) == TrialConfig()
    assert TrialConfig().lengthened(28.0).train.max_kimg == 28.8
    assert TrialConfig().lengthened(28.0).train.evaluations == 18
