"""What becomes of a space and of what the user has chosen: a plan, or one line that says what is wrong."""

from pathlib import Path
from typing import Any

import pytest

from gansearch.errors import UserError
from gansearch.run import RunDir
from gansearch.search.find_space import find_space
from gansearch.search.planning import plan_search

RUN = RunDir(Path("runs/mine"))


def test_what_is_not_chosen_is_the_spaces() -> None:
    space = find_space("digits")
    plan = plan_search(space, RUN, {})
    assert (plan.run, plan.space, plan.options.trials) == (RUN, space, space.trials)
    assert plan.options.storage is None


def test_what_is_chosen_is_in_the_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plan = plan_search(
        find_space("digits"), RUN, {"loss.name": "bce"}, 5.0, trials=3, seed=7, eta=2, first_rung=2, storage="store"
    )
    assert "loss.name" not in plan.space.params
    assert (plan.options.trials, plan.options.seed, plan.options.storage) == (3, 7, str(tmp_path / "store"))
    interval = plan.space.base.train.eval_images
    assert [images // interval for images in plan.rungs] == [2, 4, 8, 18]
    assert plan_search(find_space("digits"), RUN, {}, storage="s3://bucket/a").options.storage == "s3://bucket/a"


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"eta": 1}, "eta=1"),
        ({"first_rung": 0}, "first_rung=0"),
        ({"first_rung": 10}, "--first-rung 10: a trial has 18 evaluations, .*; give at most 9"),
        ({"trials": 0}, "trials=0"),
        ({"trails": 3}, "no option trails"),
    ],
)
def test_what_can_not_be_is_refused(options: dict[str, Any], hint: str) -> None:
    with pytest.raises(UserError, match=hint):
        plan_search(find_space("digits"), RUN, {}, **options)


def test_no_rung_lies_in_the_second_half_of_a_trial() -> None:
    train = find_space("digits").base.train
    for first_rung in (None, 1, 4, 9):
        plan = plan_search(find_space("digits"), RUN, {}, first_rung=first_rung)
        assert plan.rungs[-1] == train.max_images and max(plan.rungs[:-1]) <= train.max_images / 2
